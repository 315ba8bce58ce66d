"""The newest Claude Code: manifests, installation, connection, and a whole conversation."""

import json

from fake_model import FakeModel
from loop_stage import LoopStage
from world import TOOLS, HostCase, small_plan

SKILLS = {"sota-loop:sglang-sota-humanize-loop", "sota-loop:vllm-sota-humanize-loop"}


class ClaudeCode(HostCase):
    def claude(self, *arguments, **options):
        return self.run_client([self.clients.claude(), *arguments], **options)

    def install_plugin(self):
        tree = self.plugin()
        self.claude("plugin", "marketplace", "add", tree)
        self.claude("plugin", "install", "sota-loop@sota-loop")
        return tree

    def test_the_manifests_are_valid(self):
        tree = self.plugin(with_binary=False)
        self.claude("plugin", "validate", "--strict", tree)
        said = json.loads(self.claude("plugin", "validate", "--profile", "directory", "--json", tree).stdout)
        self.assertEqual([finding for finding in said["directory"]["findings"] if finding["severity"] != "warning"], [])
        self.assertEqual(set(said["provides"]["skills"]), SKILLS)
        events = {hook["event"] for hook in said["provides"]["hooks"]}
        self.assertEqual(events, {"SessionStart", "PostToolUse", "Stop"})

    def test_it_connects_once_installed(self):
        self.install_plugin()
        self.assertIn("Connected", self.claude("mcp", "list").stdout)

    def test_it_connects_while_the_binary_is_missing(self):
        tree = self.plugin(with_binary=False)
        self.claude("plugin", "marketplace", "add", tree)
        self.claude("plugin", "install", "sota-loop@sota-loop")
        cargo = self.folder / "tools/cargo"
        cargo.parent.mkdir()
        cargo.write_text("#!/bin/sh\nexit 1\n")
        cargo.chmod(0o755)
        listed = self.claude("mcp", "list", PATH=f"{cargo.parent}:{self.clients.path}", MCP_TIMEOUT="5000")
        self.assertIn("Connected", listed.stdout)

    def test_an_agent_measures_a_gap(self):
        tree = self.plugin()
        plan = self.project / "plan.json"
        plan.write_text(json.dumps(small_plan(self.binary)))
        opened = {
            "action": "open", "model": "sim-8b", "precision": "bf16", "hardware": {"gpu_model": "none"},
            "comparison_frameworks": ["vllm"],
            "excluded": {"tensorrt-llm": "not simulated", "tokenspeed": "not simulated"},
        }
        model = FakeModel([
            lambda _: ("campaign", opened),
            lambda _: ("run_benchmark", {"plan": str(plan), "label": "smoke", "wait_s": 120}),
            lambda bench: ("check_gap", {"rows": bench["candidates_path"], "target": "sglang"}),
            lambda _: None,
        ])
        self.addCleanup(model.close)
        self.converse(tree, model)
        campaign, bench, gap = model.results()
        self.assertTrue(campaign["root"].startswith(str(self.project)), campaign)
        self.assertEqual(bench["state"], "done")
        self.assertEqual([scenario["target"]["framework"] for scenario in gap["scenarios"]], ["sglang"])
        # Which of the two depends on how busy this machine is; nothing else may come.
        self.assertIn(gap["decision"], {"patch", "rerun"})
        offered = {tool["name"].rsplit("__", 1)[-1] for tool in model.requests[-1]["tools"] if "sota-loop" in tool["name"]}
        self.assertEqual(offered, TOOLS)
        listed = json.dumps(model.requests[0])
        for skill in SKILLS:
            self.assertEqual(listed.count(f"- {skill}:"), 1, skill)

    def test_the_stop_hook_holds_a_conversation_in_its_loop(self):
        tree = self.plugin()
        stage = LoopStage(self.project, self.binary)

        def call(tool, arguments):
            done = self.run_client(
                [self.binary, "call", tool, json.dumps(arguments)], cwd=self.project, timeout=300,
                SOTA_LOOP_STATE_DIR=str(self.folder / "state"), CLAUDE_PROJECT_DIR=str(self.project),
            )
            return json.loads(done.stdout)

        started = stage.enter_loop(call)
        model = FakeModel([
            lambda _: ("campaign", {"action": "status"}),
            lambda _: None,
            lambda _: ("campaign", {"action": "pause", "reason": "the user goes home"}),
            lambda _: None,
        ])
        self.addCleanup(model.close)
        self.converse(tree, model)
        reasons = [text for text in model.said_to_model() if started["campaign"] in text]
        self.assertEqual(len({text for text in reasons}), 1, model.said_to_model())
        self.assertEqual(model.turns, [], "the conversation ended before the pause")
        status, paused = model.results()
        self.assertEqual(status["campaign"], started["campaign"])
        self.assertEqual(paused["phase"], "paused")

    def converse(self, tree, model):
        tools = ",".join(f"mcp__plugin_sota-loop_sota-loop__{name}" for name in sorted(TOOLS))
        return self.claude(
            "-p", "go", "--plugin-dir", tree, "--allowedTools", tools, timeout=240,
            ANTHROPIC_BASE_URL=model.url, ANTHROPIC_API_KEY="dummy", ENABLE_TOOL_SEARCH="false",
            SOTA_LOOP_STATE_DIR=str(self.folder / "state"), CLAUDE_CODE_MAX_RETRIES="0",
        )
