#!/usr/bin/env python3
"""The Python side of `client_cost.rs`: reads URL with STREAMS requests at once.

Does per chunk what the common Python clients do: split the stream into
events, parse the JSON, take a time stamp, look for text. Prints
`chunks cpu_s wall_s`. Makes a virtual environment with aiohttp under
`target/client_cost_venv` on its first run.
"""

import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent / "target" / "client_cost_venv"


def ensure_aiohttp():
    python = HOME / "bin" / "python"
    if Path(sys.prefix) == HOME:
        return
    if not python.exists():
        venv.create(HOME, with_pip=True)
    has_aiohttp = [python, "-c", "import aiohttp"]
    if subprocess.run(has_aiohttp, capture_output=True).returncode:
        install = [python, "-m", "pip", "install", "--quiet", "aiohttp"]
        subprocess.run(install, check=True, stdout=sys.stderr)
    os.execv(python, [str(python), *sys.argv])


async def request(session, url):
    import aiohttp

    payload = {"model": "mock", "prompt": [1, 2, 3], "max_tokens": 1, "stream": True}
    chunks = 0
    gaps = []
    last = time.perf_counter()
    buffer = b""
    async with session.post(url, json=payload) as response:
        assert response.status == 200, response.status
        async for piece in response.content.iter_any():
            buffer += piece
            while (end := buffer.find(b"\n\n")) >= 0:
                event, buffer = buffer[:end], buffer[end + 2 :]
                data = event.removeprefix(b"data: ")
                if data == b"[DONE]":
                    continue
                message = json.loads(data)
                now = time.perf_counter()
                if choices := message.get("choices"):
                    if choices[0].get("text"):
                        chunks += 1
                        gaps.append(now - last)
                        last = now
    return chunks


async def main(url, streams):
    import asyncio

    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        wall, cpu = time.perf_counter(), time.process_time()
        work = [request(session, f"{url}/v1/completions") for _ in range(streams)]
        chunks = sum(await asyncio.gather(*work))
        cpu = time.process_time() - cpu
        wall = time.perf_counter() - wall
    print(chunks, f"{cpu:.4f}", f"{wall:.4f}")


if __name__ == "__main__":
    ensure_aiohttp()
    import asyncio

    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
