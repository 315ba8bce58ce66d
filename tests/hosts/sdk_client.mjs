// Drives a server with the official TypeScript SDK, which checks every result
// against the tool's output schema.
//
// usage: sdk_client.mjs STEPS.json      prints {tools, results, progress}
import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const steps = JSON.parse(readFileSync(process.argv[2], "utf8"));
const client = new Client({ name: "sdk-client", version: "1" });
const [command, ...args] = steps.server;
await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" }));

const tools = (await client.listTools()).tools.map((tool) => tool.name);
const known = {};
const results = [];
let progress = 0;
for (const [name, given] of steps.calls) {
  const filled = Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, known[String(value).replace(/[{}]/g, "")] ?? value]),
  );
  const options = { onprogress: () => (progress += 1), resetTimeoutOnProgress: true };
  const result = await client.callTool({ name, arguments: filled }, options);
  Object.assign(known, result.structuredContent);
  results.push({ is_error: Boolean(result.isError), record: result.structuredContent });
}
await client.close();
console.log(JSON.stringify({ tools, results, progress }));
