"""Installs the newest real clients into a cache folder.

A client that cannot be installed ends the run with its reason: these tests
never pass by leaving a client out.
"""

import concurrent.futures
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

NODE_MAJOR = 22
HOSTS = ["@anthropic-ai/claude-code@latest", "@openai/codex@latest"]
MCP = ["@modelcontextprotocol/inspector@latest", "@modelcontextprotocol/client@latest"]
PYTHON_SDK = "mcp"


@dataclass
class Clients:
    path: str
    hosts: Path
    mcp: Path
    python: Path

    def claude(self):
        return str(self.hosts / "node_modules/.bin/claude")

    def codex(self):
        return str(self.hosts / "node_modules/.bin/codex")

    def inspector(self):
        return str(self.mcp / "node_modules/.bin/mcp-inspector")


class CannotInstall(Exception):
    """Names the client and what its installer said."""


def install(cache):
    path = with_node(cache)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        hosts = pool.submit(npm, cache / "hosts", HOSTS, path)
        mcp = pool.submit(npm, cache / "mcp", MCP, path)
        python = pool.submit(python_sdk, cache / "python")
        clients = Clients(path, hosts.result(), mcp.result(), python.result())
    for name, command in [("Claude Code", clients.claude()), ("Codex", clients.codex())]:
        print(f"{name}: {run(name, [command, '--version'], path).strip()}", file=sys.stderr)
    return clients


def with_node(cache):
    """PATH with a node that is new enough first; npm's `node` package where the machine's is older."""
    path = os.environ["PATH"]
    if shutil.which("npm") is None:
        raise CannotInstall("npm is not installed: install Node.js 22 or newer")
    said = run("node", ["node", "--version"], path)
    if int(said.lstrip("v").split(".")[0]) >= NODE_MAJOR:
        return path
    folder = npm(cache / "node", [f"node@{NODE_MAJOR}"], path)
    return f"{folder / 'node_modules/.bin'}{os.pathsep}{path}"


def npm(folder, packages, path):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    run(", ".join(packages), ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *packages], path, folder)
    return folder


def python_sdk(folder):
    path = os.environ["PATH"]
    python = folder / "bin/python"
    if not python.exists():
        run("python venv", [sys.executable, "-m", "venv", str(folder)], path)
    run(PYTHON_SDK, [str(python), "-m", "pip", "install", "--quiet", "--upgrade", "--disable-pip-version-check", PYTHON_SDK], path)
    return python


def run(client, command, path, cwd=None):
    done = subprocess.run(command, cwd=cwd, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotInstall(f"{client}: `{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.stdout
