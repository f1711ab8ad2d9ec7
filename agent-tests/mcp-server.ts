/** A small MCP server on stdin and stdout for Codex to start: one tool, `add`. */

import { createInterface } from "node:readline";
import type { Json, JsonObject } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";

const add = {
  name: "add",
  description: "Adds two numbers.",
  inputSchema: {
    type: "object",
    properties: { a: { type: "number" }, b: { type: "number" } },
    required: ["a", "b"],
  },
};

/** Notifications have no answer, unknown methods have an error for one. */
function answer(method: string, params: JsonObject): JsonObject | undefined {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: params.protocolVersion ?? "2025-06-18",
        capabilities: { tools: {} },
        serverInfo: { name: "demo", version: "1.0.0" },
      };
    case "ping":
      return {};
    case "tools/list":
      return { tools: [add] };
    case "tools/call": {
      const input = isObject(params.arguments) ? params.arguments : {};
      return { content: [{ type: "text", text: `the sum is ${Number(input.a) + Number(input.b)}` }] };
    }
    default:
      return undefined;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const message: Json = JSON.parse(line);
  if (!isObject(message) || message.id === undefined) continue;
  const result = answer(String(message.method), isObject(message.params) ? message.params : {});
  const error = { code: -32601, message: `no method ${String(message.method)}` };
  console.log(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...(result === undefined ? { error } : { result }) }));
}
