"""Drives real MCP clients and agents against this plugin, offline, each in an empty home.

usage: tests/hosts/run.py [--binary PATH] [--cache FOLDER] [-k PATTERN ...]

Installs the newest Claude Code, Codex, MCP Inspector and the Python and
TypeScript SDKs into the cache folder first (target/hosts). A client that cannot
be installed fails the run.
"""

import argparse
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from clients import CannotInstall, install  # noqa: E402
from world import REPOSITORY, HostCase  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target/release/sota-loop")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "target/hosts")
    parser.add_argument("-k", dest="patterns", action="append", help="only tests whose name contains this")
    arguments = parser.parse_args()
    HostCase.binary = arguments.binary.resolve()
    if not HostCase.binary.is_file():
        sys.exit(f"there is no {HostCase.binary}: build it with `cargo build --release`")
    try:
        HostCase.clients = install(arguments.cache.resolve())
    except CannotInstall as error:
        sys.exit(f"a client cannot be installed: {error}")
    loader = unittest.TestLoader()
    if arguments.patterns:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in arguments.patterns]
    result = unittest.TextTestRunner(verbosity=2).run(loader.discover(str(HERE)))
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)


if __name__ == "__main__":
    main()
