"""Writes the stop gate into Codex's user hooks, beside whatever stands there.

usage: codex_hooks.py BINARY      BINARY is the stable path of the installed binary
"""

import json
import os
import sys
import tempfile


def main():
    binary = sys.argv[1]
    home = os.environ.get("CODEX_HOME") or os.path.expanduser("~/.codex")
    path = os.path.join(home, "hooks.json")
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except FileNotFoundError:
        config = {}
    except (OSError, ValueError) as error:
        sys.exit(f"setup: {path} cannot be read: {error}; mend it first")
    hooks = config.setdefault("hooks", {})
    gate = {"type": "command", "command": f'"{binary}" gate', "timeout": 10}
    wanted = {
        "PostToolUse": {"matcher": "mcp__.*sota-loop.*", "hooks": [gate]},
        "Stop": {"hooks": [gate]},
    }
    for event, entry in wanted.items():
        hooks[event] = [known for known in hooks.get(event, []) if not is_gate(known)] + [entry]
    os.makedirs(home, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=home, delete=False, encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    os.replace(file.name, path)
    print(f"wrote the stop gate to {path}; Codex runs it once you trust it in /hooks")


def is_gate(entry):
    return any(hook.get("command", "").endswith('sota-loop" gate') for hook in entry.get("hooks", []))


if __name__ == "__main__":
    main()
