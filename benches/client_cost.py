#!/usr/bin/env python3
"""The Python side of `client_cost.rs`: reads URL with STREAMS requests at once.

Does per chunk what the common Python clients do: split the stream into
`events` or `lines`, parse the JSON, take a time stamp, keep the text. Prints
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


async def by_event(response):
    """Splits what arrives into events, as vLLM's client does."""
    buffer = ""
    async for piece in response.content.iter_any():
        buffer += piece.decode("utf-8")
        while (end := buffer.find("\n\n")) >= 0:
            event, buffer = buffer[:end], buffer[end + 2 :]
            yield event.strip()


async def by_line(response):
    """Reads line by line, as SGLang's client does."""
    async for line in response.content:
        if line := line.strip():
            yield line.decode("utf-8")


async def request(session, url, events):
    payload = {"model": "mock", "prompt": [1, 2, 3], "max_tokens": 1, "stream": True}
    chunks = 0
    text = ""
    gaps = []
    last = time.perf_counter()
    async with session.post(url, json=payload) as response:
        assert response.status == 200, response.status
        async for event in events(response):
            data = event.removeprefix("data: ")
            if data == "[DONE]":
                continue
            message = json.loads(data)
            if choices := message.get("choices"):
                if token := choices[0].get("text"):
                    now = time.perf_counter()
                    chunks += 1
                    text += token
                    gaps.append(now - last)
                    last = now
    return chunks


async def main(url, streams, events):
    import asyncio

    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        wall, cpu = time.perf_counter(), time.process_time()
        url = f"{url}/v1/completions"
        work = [request(session, url, events) for _ in range(streams)]
        chunks = sum(await asyncio.gather(*work))
        cpu = time.process_time() - cpu
        wall = time.perf_counter() - wall
    print(chunks, f"{cpu:.4f}", f"{wall:.4f}")


if __name__ == "__main__":
    ensure_aiohttp()
    import asyncio

    styles = {"events": by_event, "lines": by_line}
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), styles[sys.argv[3]]))
