"""The newest Codex: installation, the server's health, the skills, the environment, and a conversation."""

import json
import queue
import subprocess
import threading

from fake_responses import FakeResponses
from world import TOOLS, HostCase, small_plan


class AppServer:
    """`codex app-server`, which starts plugin servers as a session would."""

    def __init__(self, codex, cwd, env):
        self.child = subprocess.Popen(
            [codex, "app-server"], cwd=cwd, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        self.lines = queue.Queue()
        self.sent = 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        client = {"name": "hosts-test", "title": "hosts-test", "version": "1"}
        self.request("initialize", {"clientInfo": client, "capabilities": {"experimentalApi": True}})
        self.write({"method": "initialized"})

    def read(self):
        for line in self.child.stdout:
            self.lines.put(line)

    def request(self, method, params, timeout=90):
        self.sent += 1
        self.write({"id": self.sent, "method": method, "params": params})
        while True:
            message = json.loads(self.lines.get(timeout=timeout))
            if message.get("id") == self.sent and "method" not in message:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]

    def write(self, message):
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def close(self):
        self.child.kill()
        self.child.wait()
        self.reader.join()
        self.child.stdin.close()
        self.child.stdout.close()


class Codex(HostCase):
    def setUp(self):
        super().setUp()
        self.codex_home = self.home / ".codex"
        self.codex_home.mkdir()

    def codex(self, *arguments):
        return self.run_client([self.clients.codex(), *arguments], CODEX_HOME=str(self.codex_home))

    def app_server(self, **environment):
        env = self.environment(CODEX_HOME=str(self.codex_home), **environment)
        server = AppServer(self.clients.codex(), self.project, env)
        self.addCleanup(server.close)
        return server

    def install_plugin(self):
        tree = self.plugin()
        self.codex("plugin", "marketplace", "add", tree)
        self.codex("plugin", "add", "sota-loop@sota-loop")
        return tree

    def test_the_server_is_healthy_and_the_skills_are_there(self):
        self.install_plugin()
        server = self.app_server()
        statuses = server.request("mcpServerStatus/list", {})["data"]
        found = {status["name"]: set(status["tools"]) for status in statuses}
        self.assertEqual(found.get("sota-loop"), TOOLS, statuses)
        listed = server.request("skills/list", {"cwds": [str(self.project)]})["data"]
        skills = {skill["name"] for entry in listed for skill in entry["skills"]}
        self.assertLessEqual(
            {"sota-loop:sglang-sota-humanize-loop", "sota-loop:vllm-sota-humanize-loop"}, skills,
        )
        self.assertEqual([entry["errors"] for entry in listed], [[]])

    def test_the_environment_of_the_gpu_arrives(self):
        tree = self.plugin()
        seen = self.folder / "seen"
        spy = self.folder / "spy"
        spy.write_text(f'#!/bin/sh\nenv > "{seen}"\nexec "{self.binary}" "$@"\n')
        spy.chmod(0o755)
        self.codex("plugin", "marketplace", "add", tree)
        self.codex("plugin", "add", "sota-loop@sota-loop")
        given = {
            "CUDA_VISIBLE_DEVICES": "3", "CUDA_HOME": "/cuda", "LD_LIBRARY_PATH": "/cuda/lib64", "HF_HOME": "/hf",
            "HF_TOKEN": "hf_test", "HUMANIZE_RUNTIME_ROOT": "/humanize", "SOTA_HISTORY_ROOT": "/history",
            "SOTA_LOOP_BINARY": str(spy),
        }
        self.app_server(**given).request("mcpServerStatus/list", {})
        environment = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
        self.assertEqual({name: environment.get(name) for name in given}, given)
        self.assertEqual(environment["CODEX_HOME"], str(self.codex_home))

    def test_an_agent_measures_a_gap(self):
        self.install_plugin()
        plan = self.project / "plan.json"
        plan.write_text(json.dumps(small_plan(self.binary)))
        # Codex tells a server nothing of the project.
        workspace = {"workspace": str(self.project)}
        opened = {
            "action": "open", "model": "sim-8b", "precision": "bf16", "hardware": {"gpu_model": "none"},
            "comparison_frameworks": ["vllm"],
            "excluded": {"tensorrt-llm": "not simulated", "tokenspeed": "not simulated"},
        }
        benchmark = {"plan": str(plan), "label": "smoke", "wait_s": 120}
        model = FakeResponses([
            lambda _: ("campaign", opened),
            lambda refused: ("campaign", {**opened, **workspace}),
            lambda _: ("run_benchmark", {**benchmark, **workspace}),
            lambda bench: ("check_gap", {"rows": bench["candidates_path"], "target": "sglang"}),
            lambda _: None,
        ])
        self.addCleanup(model.close)
        provider = f'{{name = "fake", base_url = "{model.url}", wire_api = "responses"}}'
        self.run_client(
            [self.clients.codex(), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
             "-c", 'model="fake"', "-c", 'model_provider="fake"', "-c", f"model_providers.fake={provider}", "go"],
            timeout=240, CODEX_HOME=str(self.codex_home), SOTA_LOOP_STATE_DIR=str(self.folder / "state"),
        )
        refused, campaign, bench, gap = model.results()
        self.assertEqual(refused["error"], "workspace_required")
        self.assertTrue(campaign["root"].startswith(str(self.project)), campaign)
        self.assertEqual(bench["state"], "done")
        self.assertEqual([scenario["target"]["framework"] for scenario in gap["scenarios"]], ["sglang"])
        self.assertIn(gap["decision"], {"patch", "rerun"})
        self.assertLessEqual(TOOLS, set(model.offered()))
        listed = json.dumps(model.requests[0])
        for skill in ["sota-loop:sglang-sota-humanize-loop", "sota-loop:vllm-sota-humanize-loop"]:
            self.assertIn(skill, listed)

    def test_the_gate_is_a_hook_once_it_is_asked_for(self):
        tree = self.install_plugin()
        self.run_client([tree / "bin/setup", "--codex-hooks"], CODEX_HOME=str(self.codex_home))
        hooks = self.app_server().request("hooks/list", {"cwds": [str(self.project)]})["data"][0]["hooks"]
        events = {hook["eventName"] for hook in hooks if "sota-loop\" gate" in hook["command"]}
        self.assertEqual(events, {"stop", "postToolUse"})
