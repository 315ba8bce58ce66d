"""Start the simulated engine with the step costs of this checkout.

SOTA_LOOP_BINARY names the program that has it. Server flags are passed on.
"""

import argparse
import os
import sys

from sglang.srt.layers.decode_step import decode_base_ms

VALUES = {
    "--model-path": "the model",
    "--served-model-name": "name that requests use",
    "--host": "address to listen on",
    "--port": "port to listen on",
    "--dtype": "precision of the weights",
    "--tp-size": "ranks",
    "--context-length": "longest prompt and output together",
    "--mem-fraction-static": "share of the memory for weights and cache",
    "--chunked-prefill-size": "most tokens of a prefill step",
    "--max-running-requests": "most sequences in the batch",
    "--launch-noise-pct": "spread of a launch, in percent",
}
SWITCHES = {
    "--disable-radix-cache": "keep no computed prompts",
    "--disable-cuda-graph": "launch every kernel by itself",
    "--enable-metrics": "serve /metrics",
    "--trust-remote-code": "run the model's own code",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="sglang.launch_server", description=__doc__)
    for flag, text in VALUES.items():
        parser.add_argument(flag, help=text)
    for flag, text in SWITCHES.items():
        parser.add_argument(flag, action="store_true", help=text)
    parser.parse_known_args()
    binary = os.environ["SOTA_LOOP_BINARY"]
    command = [binary, "sim", "--dialect", "sglang", "--decode-base-ms", f"{decode_base_ms():.4f}"]
    os.execv(binary, command + sys.argv[1:])


if __name__ == "__main__":
    main()
