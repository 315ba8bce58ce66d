"""Start the simulated engine with the step costs of this checkout.

SOTA_LOOP_BINARY names the program that has it. Server flags are passed on.
"""

import os
import sys

from sglang.srt.layers.decode_step import decode_base_ms


def main() -> None:
    binary = os.environ["SOTA_LOOP_BINARY"]
    command = [binary, "sim", "--dialect", "sglang", "--decode-base-ms", f"{decode_base_ms():.4f}"]
    os.execv(binary, command + sys.argv[1:])


if __name__ == "__main__":
    main()
