"""bin/sota-loop, bin/setup and the bootstrap server, without any host."""

import hashlib
import json
import os
import subprocess
import tarfile
import time

from stdio_client import StdioClient
from world import REPOSITORY, TOOLS, HostCase, version

# A build that a test can hold: it ends when the file `go` appears.
SLOW_CARGO = """#!/bin/sh
case $1 in --version) echo "cargo 1.95.0"; exit ;; esac
echo "   Compiling one v1.0.0" >&2
while [ ! -e "{folder}/go" ]; do sleep 0.1; done
mkdir -p "$CARGO_TARGET_DIR/release"
cp "{binary}" "$CARGO_TARGET_DIR/release/sota-loop"
"""

BROKEN_CARGO = """#!/bin/sh
case $1 in --version) echo "cargo 1.95.0"; exit ;; esac
echo "error: linker \\`cc\\` not found" >&2
exit 101
"""


class Launcher(HostCase):
    def setUp(self):
        super().setUp()
        self.tree = self.plugin(with_binary=False)
        self.tools = self.folder / "tools"
        self.tools.mkdir()
        self.data = self.home / ".local/share/sota-loop"
        self.installed = self.data / "bin" / f"sota-loop-{version()}"

    def environment(self, **more):
        path = f"{self.tools}:{os.path.dirname(subprocess.check_output(['which', 'python3'], text=True))}:/usr/bin:/bin"
        return {"HOME": str(self.home), "PATH": path, **more}

    def launcher(self, *arguments, ok=True, **environment):
        return self.run_client([self.tree / "bin/sota-loop", *arguments], ok=ok, **environment)

    def setup_script(self, *arguments, ok=True, **environment):
        return self.run_client([self.tree / "bin/setup", *arguments], ok=ok, **environment)

    def cargo(self, text):
        cargo = self.tools / "cargo"
        cargo.write_text(text.format(folder=self.folder, binary=self.binary))
        cargo.chmod(0o755)

    def echo_binary(self, path, word):
        """A program in a place where the launcher looks, that says which it is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "sota-loop {version()}" && exit\necho {word} "$@"\n'
        )
        path.chmod(0o755)

    def wait_for(self, path):
        deadline = time.monotonic() + 60
        while not path.exists():
            self.assertLess(time.monotonic(), deadline, f"{path} never appeared")
            time.sleep(0.05)

    def test_places_are_looked_at_in_order(self):
        said = lambda **more: self.launcher("x", "y z", **more).stdout.strip()
        self.echo_binary(self.tools / "sota-loop", "path")
        self.assertEqual(said(), "path x y z")
        self.echo_binary(self.installed, "data")
        self.assertEqual(said(), "data x y z")
        triple = subprocess.run(
            ["sh", "-c", f'root={self.tree}; . "$root/bin/support/locate.sh"; echo $triple'],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        self.echo_binary(self.tree / "bin" / triple / "sota-loop", "bundled")
        self.assertEqual(said(), "bundled x y z")
        self.echo_binary(self.folder / "mine", "override")
        self.assertEqual(said(SOTA_LOOP_BINARY=str(self.folder / "mine")), "override x y z")

    def test_another_version_on_path_is_passed_over(self):
        other = self.tools / "sota-loop"
        other.write_text('#!/bin/sh\necho "sota-loop 0.0.1"\n')
        other.chmod(0o755)
        done = self.launcher("bench", ok=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("bin/setup --from FILE", done.stderr)

    def test_a_launcher_on_path_does_not_call_itself(self):
        done = self.launcher("bench", ok=False, PATH=f"{self.tree}/bin:/usr/bin:/bin")
        self.assertEqual(done.returncode, 1)

    def test_a_link_to_the_launcher_works(self):
        self.echo_binary(self.installed, "data")
        link = self.folder / "link"
        link.symlink_to(self.tree / "bin/sota-loop")
        self.assertEqual(self.run_client([link, "x"]).stdout.strip(), "data x")

    def test_the_gate_lets_go_without_a_binary(self):
        def gate(event):
            done = subprocess.run(
                [self.tree / "bin/sota-loop", "gate"], env=self.environment(), text=True, check=True,
                input=json.dumps({"hook_event_name": event, "session_id": "s"}), capture_output=True,
            )
            return json.loads(done.stdout)

        self.assertIn("lets go", gate("Stop")["systemMessage"])
        self.assertEqual(gate("PostToolUse"), {})

    def test_the_bootstrap_server_answers_and_then_hands_over(self):
        self.cargo(SLOW_CARGO)
        client = StdioClient([self.tree / "bin/sota-loop", "serve"], self.project, self.environment())
        self.assertEqual({tool["name"] for tool in client.tools()}, TOOLS)
        early = client.call("campaign", action="status")
        self.assertTrue(early["isError"])
        self.assertEqual(early["structuredContent"]["error"], "server_building")
        self.assertTrue(early["structuredContent"]["retryable"])
        self.assertIn("of at most", early["structuredContent"]["message"])
        self.assertEqual(json.loads(early["content"][0]["text"]), early["structuredContent"])
        (self.folder / "go").touch()
        self.wait_for(self.installed)
        deadline = time.monotonic() + 30
        while (late := client.call("campaign", action="status"))["structuredContent"]["error"] == "server_building":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.assertEqual(late["structuredContent"]["error"], "campaign_unknown")
        self.assertEqual({tool["name"] for tool in client.tools()}, TOOLS)
        self.assertEqual(client.close(), 0)

    def test_a_failed_build_is_told_with_its_reason(self):
        self.cargo(BROKEN_CARGO)
        client = StdioClient([self.tree / "bin/sota-loop", "serve"], self.project, self.environment())
        self.wait_for(self.data / "build" / version() / "failed")
        problem = client.call("campaign", action="status")["structuredContent"]
        self.assertEqual(problem["error"], "build_failed")
        self.assertIn("linker `cc` not found", problem["message"])
        self.assertFalse(problem["retryable"])
        client.close()
        self.setup_script("--ensure")
        self.assertFalse(self.installed.exists())

    def test_two_starts_make_one_build(self):
        self.cargo(SLOW_CARGO + f'echo built >> "{self.folder}/builds"\n')
        first = StdioClient([self.tree / "bin/sota-loop", "serve"], self.project, self.environment())
        self.wait_for(self.data / "build" / version() / "lock/pid")
        second = StdioClient([self.tree / "bin/sota-loop", "serve"], self.project, self.environment())
        (self.folder / "go").touch()
        self.wait_for(self.installed)
        self.setup_script("--ensure")
        first.close()
        second.close()
        self.assertEqual((self.folder / "builds").read_text(), "built\n")

    def test_changed_sources_are_built_again(self):
        self.cargo(SLOW_CARGO)
        (self.folder / "go").touch()
        self.setup_script()
        first = self.installed.stat().st_mtime_ns
        self.setup_script("--ensure")
        self.assertEqual(self.installed.stat().st_mtime_ns, first)
        with open(self.tree / "src/lib.rs", "a", encoding="utf-8") as file:
            file.write("\n")
        self.setup_script("--ensure")
        self.assertGreater(self.installed.stat().st_mtime_ns, first)

    def test_a_release_is_installed_from_a_file_by_its_checksum(self):
        archive = self.folder / "release.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(self.binary, f"sota-loop-{version()}/sota-loop")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()

        without = self.setup_script("--from", archive, ok=False)
        self.assertEqual(without.returncode, 1)
        self.assertIn("no checksum", without.stderr)
        wrong = self.setup_script("--from", archive, "--sha256", "0" * 64, ok=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn(digest, wrong.stderr)
        self.assertFalse(self.installed.exists())

        (self.folder / "release.tar.gz.sha256").write_text(f"{digest}  release.tar.gz\n")
        self.setup_script("--from", archive)
        self.assertEqual(self.launcher("--version").stdout.strip(), f"sota-loop {version()}")
        self.assertEqual(self.run_client([self.data / "bin/sota-loop", "--version"]).stdout.strip(), f"sota-loop {version()}")

    def test_a_file_of_another_version_is_refused(self):
        other = self.folder / "other"
        other.write_text('#!/bin/sh\necho "sota-loop 9.9.9"\n')
        other.chmod(0o755)
        digest = hashlib.sha256(other.read_bytes()).hexdigest()
        done = self.setup_script("--from", other, "--sha256", digest, ok=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("9.9.9", done.stderr)
        self.assertFalse(self.installed.exists())

    def test_codex_hooks_join_what_stands_there(self):
        hooks = self.home / ".codex/hooks.json"
        hooks.parent.mkdir()
        mine = {"hooks": [{"type": "command", "command": "notify"}]}
        hooks.write_text(json.dumps({"hooks": {"Stop": [mine]}}))
        self.setup_script("--codex-hooks")
        self.setup_script("--codex-hooks")
        written = json.loads(hooks.read_text())["hooks"]
        self.assertEqual(written["Stop"][0], mine)
        self.assertEqual(len(written["Stop"]), 2)
        self.assertEqual(written["Stop"][1]["hooks"][0]["command"], f'"{self.data}/bin/sota-loop" gate')
        self.assertEqual(len(written["PostToolUse"]), 1)

    def test_the_snapshot_is_what_the_binary_serves(self):
        client = StdioClient([self.binary, "serve"], self.project, self.environment())
        snapshot = json.loads((REPOSITORY / "bin/support/mcp.json").read_text())
        self.assertTrue(client.tools() == snapshot["tools"], "run .ci/generate")
        for key in ("capabilities", "serverInfo", "instructions"):
            self.assertEqual(client.welcome[key], snapshot[key])
        client.close()
