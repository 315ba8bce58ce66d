"""What every test of a host needs: a plugin folder, an empty home, and the clients."""

import json
import os
import platform
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TRIPLES = {
    ("Linux", "x86_64"): "x86_64-unknown-linux-gnu",
    ("Linux", "aarch64"): "aarch64-unknown-linux-gnu",
    ("Darwin", "arm64"): "aarch64-apple-darwin",
    ("Darwin", "x86_64"): "x86_64-apple-darwin",
}

TOOLS = {
    tool["name"] for tool in json.loads((REPOSITORY / "bin/support/mcp.json").read_text())["tools"]
}


def version():
    return json.loads((REPOSITORY / ".claude-plugin/plugin.json").read_text())["version"]


class HostCase(unittest.TestCase):
    """Makes a folder for each test; `clients` and `binary` are set by run.py."""

    clients = None
    binary = None

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sota-hosts-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.home = self.folder / "home"
        self.project = self.folder / "project"
        self.home.mkdir()
        self.project.mkdir()

    def plugin(self, with_binary=True):
        """A copy of this repository as `git clone` would give it, with the binary bundled."""
        tree = self.folder / "plugin"
        names = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=REPOSITORY, check=True, capture_output=True,
        ).stdout.decode().split("\0")
        for name in filter(None, names):
            source = REPOSITORY / name
            if source.is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, tree / name)
        if with_binary:
            place = tree / "bin" / TRIPLES[platform.system(), platform.machine()]
            place.mkdir()
            shutil.copy(self.binary, place / "sota-loop")
        return tree

    def environment(self, **more):
        """Nothing of the caller's host or model account reaches a client under test."""
        kept = ("LANG", "TERM", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "PATH": self.clients.path,
            "HOME": str(self.home),
            **more,
        }

    def run_client(self, command, cwd=None, timeout=120, ok=True, **environment):
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd or self.project, env=self.environment(**environment),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )
        if ok:
            self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}\n{done.stderr}")
        return done


def small_plan(binary):
    """A benchmark of two simulated engines that takes some seconds."""
    def engine(dialect, decode_ms):
        return {
            "command": [str(binary), "sim", "--dialect", dialect, "--host", "{host}", "--port", "{port}",
                        "--model", "{model}", "--decode-base-ms", decode_ms],
        }

    return {
        "model": {"name": "sim-8b", "precision": "bf16"},
        "dataset": {"num_prompts": 8, "scenario_names": ["chat"], "input_len": [64], "output_len": [32]},
        "sla": {"max_p50_ttft_ms": 5000},
        "search": {"repeats": 2, "max_candidates_per_framework": 1},
        "timeouts": {"ready_s": 30, "run_s": 60, "stop_s": 5},
        "frameworks": {"sglang": engine("sglang", "9"), "vllm": engine("vllm", "6")},
    }
