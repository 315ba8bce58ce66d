"""The MCP Inspector's command line, with its strict check of the schemas."""

import json

from world import TOOLS, HostCase


class Inspector(HostCase):
    def inspect(self, *arguments, ok=True):
        command = [self.clients.inspector(), "--cli", self.binary, "serve", *arguments]
        return self.run_client(command, ok=ok)

    def test_the_schemas_are_portable(self):
        done = self.inspect("--strict", "--method", "tools/list")
        self.assertEqual({tool["name"] for tool in json.loads(done.stdout)["tools"]}, TOOLS)
        self.assertNotIn("Warning:", done.stderr)

    def test_a_call_answers_with_an_error_that_says_what_to_do(self):
        arguments = ["--method", "tools/call", "--tool-name", "campaign", "--tool-arg", "action=status"]
        done = self.inspect(*arguments, ok=False)
        problem = json.loads(done.stdout)["structuredContent"]
        self.assertEqual(problem["error"], "campaign_unknown")
        self.assertIn("campaign {", problem["hint"])
