"""Answers MCP on stdio while sota-loop is being built, then becomes a byte pipe to it.

usage: bootstrap.py ROOT VERSION DATA

`tools/list` is answered from mcp.json beside this file, which the binary wrote;
a call of a tool is answered with how far the build is. Once the binary is there,
it is started, given the client's `initialize`, and the connection carries on.
"""

import json
import os
import select
import subprocess
import sys
import threading
import time

SUPPORTED = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
METHOD_NOT_FOUND = -32601
POLL_S = 0.5


class Build:
    """What bin/setup left on disk."""

    def __init__(self, root, version, data):
        self.root = root
        self.version = version
        self.binary = os.path.join(data, "bin", "sota-loop-" + version)
        self.work = os.path.join(data, "build", version)
        self.log = os.path.join(self.work, "log")

    def is_done(self):
        return os.access(self.binary, os.X_OK)

    def fault(self):
        """The answer to a call: the shape of every error of the real server."""
        by_hand = f"or run {self.root}/bin/setup --from FILE with a release binary"
        failed = read(os.path.join(self.work, "failed"))
        if failed is not None:
            return fault(
                "build_failed",
                f"sota-loop {self.version} could not be built: {failed.strip()}",
                f"mend that and run {self.root}/bin/setup, {by_hand}; this connection then carries on",
                retryable=False,
                evidence=[self.log],
            )
        lock = os.path.join(self.work, "lock")
        if not os.path.isdir(lock):
            return fault(
                "server_building",
                f"sota-loop {self.version} is not built, and no build is running",
                f"run {self.root}/bin/setup, {by_hand}; this connection then carries on",
                retryable=True,
                evidence=[self.log],
            )
        elapsed = time.time() - os.stat(lock).st_mtime
        return fault(
            "server_building",
            f"sota-loop {self.version} is being built: {elapsed:.0f} s so far, {self.progress()}; nothing was run",
            f"repeat the call in 60 s, {by_hand}",
            retryable=True,
            evidence=[self.log],
        )

    def progress(self):
        compiled = (read(self.log) or "").count("Compiling ")
        packages = (read(os.path.join(self.root, "Cargo.lock")) or "").count("[[package]]")
        return f"{compiled} of at most {packages} crates"


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def fault(error, message, hint, retryable, evidence):
    return {"error": error, "message": message, "hint": hint, "retryable": retryable, "evidence": evidence}


class Session:
    """One client's connection; remembers what the real server must be told."""

    def __init__(self, build):
        self.build = build
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "mcp.json"), encoding="utf-8") as file:
            self.snapshot = json.load(file)
        self.initialize = None
        self.initialized = None

    def answer(self, line):
        """The reply to one message, or None where none is due."""
        try:
            message = json.loads(line)
        except ValueError:
            return None
        if not isinstance(message, dict) or "method" not in message:
            return None
        method = message["method"]
        if method == "notifications/initialized":
            self.initialized = line
        if "id" not in message:
            return None
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        if method == "initialize":
            self.initialize = line
            reply["result"] = self.welcome(message)
        elif method == "tools/list":
            reply["result"] = {"tools": self.snapshot["tools"]}
        elif method == "tools/call":
            problem = self.build.fault()
            text = {"type": "text", "text": json.dumps(problem)}
            reply["result"] = {"content": [text], "structuredContent": problem, "isError": True}
        elif method == "ping":
            reply["result"] = {}
        else:
            reply["error"] = {"code": METHOD_NOT_FOUND, "message": f"{method} is not served while sota-loop is being built"}
        return reply

    def welcome(self, message):
        asked = (message.get("params") or {}).get("protocolVersion")
        return {
            "protocolVersion": asked if asked in SUPPORTED else SUPPORTED[-1],
            "capabilities": self.snapshot["capabilities"],
            "serverInfo": self.snapshot["serverInfo"],
            "instructions": self.snapshot["instructions"],
        }


def main():
    root, version, data = sys.argv[1:4]
    session = Session(Build(root, version, data))
    pending = b""
    while not session.build.is_done():
        readable, _, _ = select.select([0], [], [], POLL_S)
        if not readable:
            continue
        chunk = os.read(0, 1 << 16)
        if not chunk:
            return 0
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            reply = session.answer(line)
            if reply is not None:
                write_all(1, json.dumps(reply).encode() + b"\n")
    return hand_over(session, pending)


def hand_over(session, pending):
    """Starts the real server in this client's place and copies bytes both ways."""
    server = subprocess.Popen([session.build.binary, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    into, out = server.stdin.fileno(), server.stdout.fileno()
    beyond = b""
    if session.initialize is not None:
        write_all(into, session.initialize + b"\n")
        beyond = after_first_line(out)
    if session.initialized is not None:
        write_all(into, session.initialized + b"\n")
    write_all(into, pending)
    write_all(1, beyond)
    threading.Thread(target=copy_input, args=(server.stdin,), daemon=True).start()
    while chunk := os.read(out, 1 << 16):
        write_all(1, chunk)
    return server.wait()


def after_first_line(source):
    """Reads the reply to `initialize`, which the client has had, and returns what follows it."""
    got = b""
    while b"\n" not in got:
        chunk = os.read(source, 1 << 16)
        if not chunk:
            return b""
        got += chunk
    return got.split(b"\n", 1)[1]


def copy_input(sink):
    while chunk := os.read(0, 1 << 16):
        try:
            write_all(sink.fileno(), chunk)
        except BrokenPipeError:
            return
    sink.close()


def write_all(target, data):
    while data:
        data = data[os.write(target, data):]


if __name__ == "__main__":
    sys.exit(main())
