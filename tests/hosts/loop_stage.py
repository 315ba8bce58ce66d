"""A workspace in which a campaign can enter its loop: the demo's stand-in for SGLang."""

import json
import os
import shutil
import subprocess
import sys

from world import REPOSITORY

SOURCE = REPOSITORY / "references/demo-loop"


class LoopStage:
    def __init__(self, workspace, binary):
        self.workspace = workspace
        self.checkout = workspace / "sglang"
        self.knowledge = workspace / "pr-history"
        self.plan = workspace / "plan.yaml"
        shutil.copytree(SOURCE / "checkout", self.checkout)
        for card in (SOURCE / "history").glob("*.md"):
            place = self.knowledge / card.stem / "sim-8b"
            place.mkdir(parents=True)
            shutil.copy(card, place / "README.en.md")
        text = (SOURCE / "plan.yaml").read_text()
        for name, path in {"binary": binary, "checkout": self.checkout, "python3": sys.executable}.items():
            text = text.replace(f"{{{name}}}", str(path))
        self.plan.write_text(text)
        shutil.copy(SOURCE / "gitignore", self.checkout / ".gitignore")
        self.git("init", "-q", "-b", "main")
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "The sources as they are")
        self.git("checkout", "-q", "-b", "faster")

    def git(self, *arguments):
        user = ["-c", "user.name=hosts", "-c", "user.email=hosts@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", self.checkout, *user, *arguments], check=True, stdin=subprocess.DEVNULL,
                       env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})

    def enter_loop(self, call):
        """Takes a campaign from its opening into round 0; `call(tool, arguments)` returns the record."""
        call("campaign", {
            "action": "open", "model": "sim-8b", "precision": "bf16", "hardware": {"gpu_model": "none"},
            "comparison_frameworks": ["vllm"], "checkout": str(self.checkout),
            "excluded": {"tensorrt-llm": "not simulated", "tokenspeed": "not simulated"},
        })
        history = {"model": "sim-8b", "query": "residual add rms norm decode", "roots": [str(self.knowledge)]}
        decisions = [
            {"pr": 101, "influenced": "look at the separate residual add first", "risk": "outputs must not change"},
            {"pr": 902, "influenced": "fuse it into the norm as the leader does", "risk": "numerics of the residual"},
        ]
        call("query_history", {**history, "record": {"decisions": decisions}})
        bench = call("run_benchmark", {"plan": str(self.plan), "label": "baseline", "wait_s": 240})
        assert bench["state"] == "done", json.dumps(bench)
        call("check_gap", {})
        return call("campaign", {"action": "start_loop", "runtime": "builtin", "base_branch": "main"})
