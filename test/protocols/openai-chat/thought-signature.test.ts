import { expect, test } from "bun:test";
import type { ChatRequest } from "../../../src/protocols/chat.ts";
import { plainQuirks } from "../../../src/protocols/codec.ts";
import { openaiChat } from "../../../src/protocols/openai-chat/index.ts";

function memory() {
  const kept = new Map<string, string>();
  return {
    kept,
    keep: (id: string, signature: string) => void kept.set(id, signature),
    find: (id: string) => kept.get(id),
  };
}

const gemini = { ...plainQuirks, thoughtSignatures: true };

function historyOf(...ids: string[]): ChatRequest {
  return {
    model: "m",
    stream: false,
    system: [],
    turns: [
      { role: "user", parts: [{ type: "text", text: "go" }] },
      { role: "assistant", parts: ids.map((id) => ({ type: "tool-call", id, name: "run", arguments: "{}" })) },
      {
        role: "tool",
        results: ids.map((callId) => ({ callId, parts: [{ type: "text", text: "ok" }], isError: false })),
      },
    ],
    tools: [],
    reasoningDisplay: "full",
    echo: {},
    dropped: [],
  };
}

function extraContents(request: ChatRequest, signatures = memory()): unknown[] {
  const { body } = openaiChat.encodeRequest(request, { model: "m", quirks: gemini, signatures });
  const messages = body["messages"] as { tool_calls?: { extra_content?: unknown }[] }[];
  return messages.flatMap((message) => (message.tool_calls ?? []).map((call) => call.extra_content));
}

test.each([
  [
    "in the call's own entry",
    (call: object) => ({ tool_calls: [{ ...call, extra_content: { google: { thought_signature: "SIG" } } }] }),
  ],
  [
    "beside the calls",
    (call: object) => ({ tool_calls: [call], extra_content: { google: { thought_signature: "SIG" } } }),
  ],
])("a streamed signature %s goes back with the first call", (_place, delta) => {
  const signatures = memory();
  const decoder = openaiChat.streamDecoder({ quirks: gemini, toolNames: new Map(), signatures });
  const call = { index: 0, id: "call_a", type: "function", function: { name: "run", arguments: "{}" } };
  decoder.push({ data: JSON.stringify({ choices: [{ index: 0, delta: delta(call) }] }) });
  decoder.push({ data: JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] }) });
  decoder.end();
  expect(extraContents(historyOf("call_a", "call_b"), signatures)).toEqual([
    { google: { thought_signature: "SIG" } },
    undefined,
  ]);
});

test("a whole answer's signature is remembered too", () => {
  const signatures = memory();
  const call = {
    id: "call_w",
    type: "function",
    function: { name: "run", arguments: "{}" },
    extra_content: { google: { thought_signature: "W" } },
  };
  const message = { role: "assistant", content: null, tool_calls: [call] };
  openaiChat.decodeResponse(
    { choices: [{ index: 0, message, finish_reason: "tool_calls" }] },
    { quirks: gemini, toolNames: new Map(), signatures },
  );
  expect(signatures.kept).toEqual(new Map([["call_w", "W"]]));
});

test("calls of another model's making carry Google's stand-in on the first call only", () => {
  expect(extraContents(historyOf("x", "y"))).toEqual([
    { google: { thought_signature: "skip_thought_signature_validator" } },
    undefined,
  ]);
});

test("other servers never see the field", () => {
  const { body } = openaiChat.encodeRequest(historyOf("x"), { model: "m", quirks: plainQuirks, signatures: memory() });
  expect(JSON.stringify(body)).not.toContain("extra_content");
});
