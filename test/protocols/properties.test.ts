/** The fuzzer's rules on a small budget, so that every change meets them. The seed is new each time, and printed. */

import { expect, test } from "bun:test";
import { kindNames, runNumbered } from "../../fuzz/kinds.ts";
import { type RequestInput, requestKind } from "../../fuzz/requests.ts";

const seed = Date.now() % 1_000_000;
console.log(`properties: seed ${seed}`);

/** Per kind (ms). */
const budgetMs = 400;
/** Below this, nothing worth the name has been tried. */
const leastCases = 50;

const rules: Readonly<Record<string, string>> = {
  requests: "no mutated request becomes a body that a strict server refuses, or throws anything but a ProtocolError",
  streams: "no damaged stream breaks the order of events, a client's grammar, or looks whole without its terminal",
  answers: "no damaged answer throws anything but a MalformedAnswer, or becomes one that a client cannot read",
  sequences: "whatever a model says, each client's stream says the same, and is understood again",
  "passed on": "a stream that is passed on and breaks off anywhere ends in an error after its own bytes, or is whole",
};

test.each(kindNames.map((kind, at) => [kind, rules[kind] ?? kind, at] as const))("%s: %s", (_kind, _rule, first) => {
  const deadline = performance.now() + budgetMs;
  let tried = 0;
  for (let number = first; tried < leastCases || performance.now() < deadline; number += kindNames.length) {
    const found = runNumbered(seed, number);
    tried++;
    if (found === undefined) continue;
    const again = `bun fuzz/run.ts --seed ${seed} --case ${number}`;
    expect(`${found.violations.join("\n")}\n\n${found.input}\n\n${again}`).toBe("");
  }
});

const asked = { model: "m", max_tokens: 100 };

/** What the fuzzer has found once, made small. */
const found: readonly (readonly [string, RequestInput])[] = [
  [
    "call ids that are one once their characters are legal",
    {
      client: "chat",
      body: {
        model: "m",
        messages: [
          {
            role: "assistant",
            tool_calls: ["call.1", "call_1"].map((id) => ({ id, type: "function", function: { name: "f" } })),
          },
        ],
      },
      quirks: {},
    },
  ],
  [
    "a text behind a call",
    {
      client: "messages",
      body: {
        ...asked,
        messages: [
          {
            role: "assistant",
            content: [
              { type: "tool_use", id: "a", name: "f" },
              { type: "text", text: "Looking." },
            ],
          },
        ],
      },
      quirks: {},
    },
  ],
  [
    "instructions alone",
    { client: "messages", body: { ...asked, messages: [{ role: "system", content: "Be brief." }] }, quirks: {} },
  ],
  [
    "a blank answer between late instructions and the user",
    {
      client: "messages",
      body: {
        ...asked,
        messages: [
          { role: "user", content: "hi" },
          { role: "system", content: "The date changed." },
          { role: "assistant", content: "\n" },
          { role: "user", content: "go on" },
        ],
      },
      quirks: { midSystem: true },
    },
  ],
  [
    "a web search listed twice",
    {
      client: "responses",
      body: {
        model: "m",
        input: "hi",
        tools: [{ type: "namespace", name: "n", tools: [{ type: "web_search" }] }, { type: "web_search_preview" }],
      },
      quirks: { webSearch: true },
    },
  ],
  [
    "a root union that is no list",
    {
      client: "messages",
      body: {
        ...asked,
        messages: [{ role: "user", content: "hi" }],
        tools: [{ name: "f", input_schema: { anyOf: {} } }],
      },
      quirks: {},
    },
  ],
  [
    "an image whose address is empty, from a Messages client",
    {
      client: "messages",
      body: {
        ...asked,
        messages: [{ role: "user", content: [{ type: "image", source: { type: "url", url: "" } }] }],
      },
      quirks: {},
    },
  ],
  [
    "an image whose address is empty, from a Responses client",
    {
      client: "responses",
      body: { model: "m", input: [{ role: "user", content: [{ type: "input_image", image_url: "" }] }] },
      quirks: {},
    },
  ],
];

test.each(found)("requests: %s", (_what, input) => {
  expect(requestKind.check(input)).toEqual([]);
});
