"""The official Python and TypeScript SDKs; both check results against the listed output schemas."""

import json
from pathlib import Path

from world import TOOLS, HostCase, small_plan

HERE = Path(__file__).resolve().parent


class Sdks(HostCase):
    def steps(self):
        plan = self.project / "plan.json"
        plan.write_text(json.dumps(small_plan(self.binary)))
        return {
            "server": [str(self.plugin() / "bin/sota-loop"), "serve"],
            "workspace": str(self.project),
            "calls": [
                ["campaign", {"action": "status", "workspace": str(self.project)}],
                ["run_benchmark", {"plan": str(plan), "workspace": str(self.project), "wait_s": 120}],
                ["check_gap", {"rows": "{candidates_path}", "workspace": str(self.project)}],
                ["query_history", {"query": "fused rope", "workspace": str(self.project)}],
            ],
        }

    def drive(self, command):
        steps = self.folder / "steps.json"
        steps.write_text(json.dumps(self.steps()))
        said = json.loads(self.run_client([*command, steps], SOTA_LOOP_STATE_DIR=str(self.folder / "state")).stdout)
        self.assertEqual(set(said["tools"]), TOOLS)
        status, bench, gap, history = said["results"]
        self.assertTrue(status["is_error"])
        self.assertEqual(status["record"]["error"], "campaign_unknown")
        self.assertEqual(bench["record"]["state"], "done")
        # Which of the two depends on how busy this machine is; nothing else may come.
        self.assertIn(gap["record"]["decision"], {"patch", "rerun"})
        self.assertFalse(history["is_error"])
        self.assertGreater(said["progress"], 0)

    def test_python(self):
        self.drive([self.clients.python, HERE / "sdk_client.py"])

    def test_typescript(self):
        # The module is resolved from where the file lies, so it goes beside the installed package.
        script = self.clients.mcp / "sdk_client.mjs"
        script.write_text((HERE / "sdk_client.mjs").read_text())
        self.drive(["node", script])
