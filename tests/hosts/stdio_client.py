"""The least MCP client: newline-delimited JSON-RPC over a child's stdio."""

import json
import subprocess


class StdioClient:
    def __init__(self, command, cwd, env, protocol="2025-06-18"):
        self.child = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.sent = 0
        self.welcome = self.request(
            "initialize", protocolVersion=protocol, capabilities={}, clientInfo={"name": "stdio", "version": "1"},
        )["result"]
        self.notify("notifications/initialized")

    def notify(self, method, **params):
        self.write({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method, **params):
        self.sent += 1
        self.write({"jsonrpc": "2.0", "id": self.sent, "method": method, "params": params})
        while True:
            line = self.child.stdout.readline()
            if not line:
                raise EOFError(f"the server ended: {self.child.stderr.read()}")
            message = json.loads(line)
            if message.get("id") == self.sent:
                return message

    def tools(self):
        return self.request("tools/list")["result"]["tools"]

    def call(self, tool, **arguments):
        return self.request("tools/call", name=tool, arguments=arguments)["result"]

    def write(self, message):
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def close(self):
        self.child.stdin.close()
        code = self.child.wait(timeout=30)
        self.child.stdout.close()
        self.child.stderr.close()
        return code
