/** Model servers of this machine, scripted: what they answer is written as their documentation has it. */

import type { Json } from "../../src/protocols/chat.ts";

export type Replies = Record<string, Json | ((body: Json) => Json | undefined)>;

export interface LocalServerScript {
  root: string;
  /** Method, path and key of each call. */
  asked: string[];
  server: ReturnType<typeof Bun.serve>;
}

/** A server on a free port that answers these paths, and `status` to all others. */
export function serveLocal(replies: Replies, status = 404): LocalServerScript {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const path = new URL(request.url).pathname;
      asked.push(`${request.method} ${path} ${request.headers.get("authorization") ?? ""}`.trim());
      const reply = replies[path];
      const body = typeof reply === "function" ? reply((await request.json()) as Json) : reply;
      return body === undefined ? new Response("not found", { status }) : Response.json(body);
    },
  });
  return { root: `http://127.0.0.1:${server.port}`, asked, server };
}

/** For a config that is to meet no server of the machine that runs the tests. */
export const nobodyHere = Object.fromEntries(
  ["ollama", "lmstudio", "vllm", "llamacpp"].map((id) => [id, { base_url: "http://127.0.0.1:1" }]),
);

export const ollama: Replies = {
  "/api/tags": {
    models: [{ name: "qwen3:8b" }, { name: "llama3:8b" }, { name: "llava:7b" }, { name: "gone:1b" }],
  },
  "/api/ps": { models: [{ name: "qwen3:8b", context_length: 32768 }] },
  "/api/show": (body) => {
    const { model } = body as { model: string };
    return {
      "qwen3:8b": { capabilities: ["completion", "tools", "thinking"], model_info: { "qwen3.context_length": 40960 } },
      "llama3:8b": {
        capabilities: ["completion"],
        parameters: 'num_keep 24\nnum_ctx                        16384\nstop "x"',
        model_info: { "general.architecture": "llama", "llama.context_length": 8192 },
      },
      "llava:7b": { capabilities: ["completion", "vision"], model_info: { "llama.context_length": 32768 } },
    }[model];
  },
};
