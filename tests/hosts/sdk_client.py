"""Drives a server with the official Python SDK.

usage: sdk_client.py STEPS.json      prints {"tools", "results", "progress"}
"""

import asyncio
import json
import os
import sys

from mcp import StdioServerParameters
from mcp.client.client import Client


async def drive(steps):
    progress = []

    async def on_progress(done, total, message):
        progress.append(done)

    results = []
    server = StdioServerParameters(command=steps["server"][0], args=steps["server"][1:], env=dict(os.environ))
    async with Client(server, mode="auto") as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        known = {}
        for name, arguments in steps["calls"]:
            filled = {key: known.get(value.strip("{}"), value) if isinstance(value, str) else value
                      for key, value in arguments.items()}
            result = await client.call_tool(name, filled, progress_callback=on_progress)
            known.update({key: value for key, value in result.structured_content.items() if isinstance(value, str)})
            results.append({"is_error": bool(result.is_error), "record": result.structured_content})
    return {"tools": tools, "results": results, "progress": len(progress)}


with open(sys.argv[1], encoding="utf-8") as file:
    print(json.dumps(asyncio.run(drive(json.load(file)))))
