/** What hurts the users of gateways, one test each, over real sockets against upstreams that misbehave as real ones do. */

import { expect, jest, test } from "bun:test";
import { readFileSync } from "node:fs";
import { checkRequest } from "../../fuzz/request-rules.ts";
import type { Json, JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { plainQuirks } from "../../src/protocols/codec.ts";
import { codecs } from "../../src/protocols/index.ts";
import {
  answerText,
  emptyStreamed,
  emptyWhole,
  paths,
  pieces,
  protocols,
  streamed,
  whole,
  wireUsage,
} from "../support/answers.ts";
import { json, type Reply, sse, startFakeUpstream, text } from "../support/fake-upstream.ts";
import { startTestGateway, within } from "../support/gateway.ts";
import { checkText } from "../support/grammar/index.ts";
import { record, textOf } from "../support/grammar/report.ts";
import { richStream, richWhole } from "../support/rich-answers.ts";
import { callsOf, chatChunk, chatDone, firstEvents, lastSent, listen, pain, reportPains } from "./support.ts";

const pairs = protocols.flatMap((client) => protocols.map((upstream): [Protocol, Protocol] => [client, upstream]));
const translated = pairs.filter(([client, upstream]) => client !== upstream);

const weather = { id: "call_w", name: "get_weather", arguments: '{"city":"Köln"}' };
const time = { id: "call_t", name: "get_time", arguments: '{"city":"Bonn"}' };
const heardWeather = { id: "call_w", name: "get_weather", arguments: { city: "Köln" } };
const heardTime = { id: "call_t", name: "get_time", arguments: { city: "Bonn" } };

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

/** A tool as each protocol declares it. */
function declare(client: Protocol, name: string, parameters: Json): JsonObject {
  if (client === "messages") return { name, input_schema: parameters };
  if (client === "chat") return { type: "function", function: { name, parameters } };
  return { type: "function", name, parameters };
}

function list(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.map(record) : [];
}

/** An image without the resolution it is to be looked at in. */
function withoutDetail(value: Json): Json {
  const { detail: _, image_url: url, ...image } = record(value);
  if (url === undefined) return value;
  return { ...image, image_url: typeof url === "string" ? url : textOf(record(url)["url"]) };
}

reportPains();

pain(1, "truncated or malformed tool JSON passes for a finished call", async () => {
  const counts = { messages: 4, chat: 4, responses: 5 };
  for (const [client, upstream] of pairs) {
    const cut = firstEvents(richStream(upstream, { calls: [weather] }), counts[upstream]);
    expect(cut).toContain("get_weather");
    await using gateway = await startTestGateway({ replies: { cut: sse([cut]) } });
    const heard = await listen(gateway, client, `${upstream}:cut`);
    expect(heard.ending).toBe("error");
    expect(await gateway.request(heard.requestId)).toMatchObject({ status: "error" });
  }
  // Arguments that are no JSON, in an answer that ends properly: the agent gets them to report, not an HTTP 500.
  const broken = { ...weather, arguments: '{"city": "Kö' };
  for (const client of ["messages", "responses"] as const) {
    const replies = {
      whole: json(richWhole("chat", { calls: [broken] })),
      streamed: sse([richStream("chat", { calls: [broken] })]),
    };
    await using gateway = await startTestGateway({ replies });
    const answer = (await (await gateway.ask(client, "chat:whole", false)).json()) as JsonObject;
    const call = list(answer[client === "messages" ? "content" : "output"]).at(-1);
    const given = client === "messages" ? call?.["input"] : JSON.parse(textOf(call?.["arguments"]));
    expect(given).toEqual({ _raw: '{"city": "Kö' });
    const heard = await listen(gateway, client, "chat:streamed");
    expect(heard.violations).toEqual([]);
    expect(heard.calls[0]?.arguments).toBe('{"city": "Kö');
  }
});

pain(2, "parallel tool calls collide on index or block order", async () => {
  const fragment = (index: number, more: JsonObject) => ({ index, ...more });
  const start = (index: number, { id, name }: typeof weather) =>
    fragment(index, { id, type: "function", function: { name, arguments: "" } });
  const more = (index: number, json: string) => fragment(index, { function: { arguments: json } });
  const streams = {
    "every call has index 0": [
      chatChunk({
        tool_calls: [fragment(0, { id: "call_w", function: { name: "get_weather", arguments: '{"city":"Köln"}' } })],
      }),
      chatChunk({
        tool_calls: [fragment(0, { id: "call_t", function: { name: "get_time", arguments: '{"city":"Bonn"}' } })],
      }),
    ],
    "every call has index 0 and each fragment names its call": [
      chatChunk({ tool_calls: [start(0, weather)] }),
      chatChunk({ tool_calls: [start(0, time)] }),
      chatChunk({ tool_calls: [{ id: "call_w", ...more(0, '{"city":"Köln"}') }] }),
      chatChunk({ tool_calls: [{ id: "call_t", ...more(0, '{"city":"Bonn"}') }] }),
    ],
    "fragments interleave": [
      chatChunk({ tool_calls: [start(0, weather), start(1, time)] }),
      chatChunk({ tool_calls: [more(1, '{"city":'), more(0, '{"city":"K')] }),
      chatChunk({ tool_calls: [more(1, '"Bonn"}')] }),
      chatChunk({ tool_calls: [more(0, 'öln"}')] }),
    ],
    "indexes are huge and start anywhere": [
      chatChunk({ tool_calls: [start(1e9, weather)] }),
      chatChunk({ tool_calls: [more(1e9, '{"city":"Köln"}'), start(7, time)] }),
      chatChunk({ tool_calls: [more(7, '{"city":"Bonn"}')] }),
    ],
  };
  for (const chunks of Object.values(streams)) {
    const reply = sse([...chunks, chatChunk({}, "tool_calls"), chatDone]);
    await using gateway = await startTestGateway({ replies: { good: reply } });
    for (const client of ["messages", "responses"] as const) {
      const heard = await listen(gateway, client, "chat:good");
      expect(heard.violations).toEqual([]);
      expect(callsOf(heard)).toEqual([heardWeather, heardTime]);
    }
  }
  for (const [client, upstream] of translated) {
    await using gateway = await startTestGateway({
      replies: { good: sse([richStream(upstream, { text: answerText, calls: [weather, time] })]) },
    });
    const heard = await listen(gateway, client, `${upstream}:good`);
    expect(heard.violations).toEqual([]);
    expect(callsOf(heard)).toEqual([heardWeather, heardTime]);
  }
});

pain(3, "the stop reason contradicts the content", async () => {
  const told = {
    calls: { messages: "tool_use", chat: "tool_calls", responses: "completed" },
    none: { messages: "end_turn", chat: "stop", responses: "completed" },
  };
  for (const [client, upstream] of translated) {
    const mislabelled = { calls: [weather], stop: "stop" } as const;
    const callless = { text: answerText, stop: "tools" } as const;
    await using gateway = await startTestGateway({
      replies: {
        calls: sse([richStream(upstream, mislabelled)]),
        none: sse([richStream(upstream, callless)]),
        "calls-whole": json(richWhole(upstream, mislabelled)),
        "none-whole": json(richWhole(upstream, callless)),
      },
    });
    for (const content of ["calls", "none"] as const) {
      const heard = await listen(gateway, client, `${upstream}:${content}`);
      expect(heard.violations).toEqual([]);
      expect(heard.stop).toBe(told[content][client]);
      const answer = (await (await gateway.ask(client, `${upstream}:${content}-whole`, false)).json()) as JsonObject;
      const [choice] = list(answer["choices"]);
      const stop = answer["stop_reason"] ?? choice?.["finish_reason"] ?? answer["status"];
      expect(stop).toBe(told[content][client]);
    }
  }
});

pain(4, "thinking signatures are lost, or sent to a model that did not write them", async () => {
  const answer = { reasoning: "Let me see.", replay: "sig+/native==", calls: [weather] };
  await using gateway = await startTestGateway({
    replies: { think: [sse([richStream("messages", answer)]), json(whole.messages)], plain: json(whole.chat) },
  });
  // Anthropic's signature through a Responses client and back: byte for byte, before its call.
  const heard = await listen(gateway, "responses", "messages:think");
  expect(heard.reasoning).toBe("Let me see.");
  const reasoning = {
    type: "reasoning",
    summary: [{ type: "summary_text", text: heard.reasoning }],
    encrypted_content: heard.replays[0] ?? "",
  };
  const call = { type: "function_call", call_id: "call_w", name: "get_weather", arguments: weather.arguments };
  const output = { type: "function_call_output", call_id: "call_w", output: "rain" };
  const input = [{ role: "user", content: "hi" }, reasoning, call, output];
  await gateway.ask("responses", "messages:think", false, { body: { input } });
  const [, assistant] = list(lastSent(gateway)["messages"]);
  expect(assistant).toEqual({
    role: "assistant",
    content: [
      { type: "thinking", thinking: "Let me see.", signature: "sig+/native==" },
      { type: "tool_use", id: "call_w", name: "get_weather", input: { city: "Köln" } },
    ],
  });
  // After a switch of models the same history must not carry it to anybody else.
  await gateway.ask("responses", "chat:plain", false, { body: { input } });
  expect(JSON.stringify(lastSent(gateway))).not.toContain("sig+/native==");
  expect(JSON.stringify(lastSent(gateway))).not.toContain("Let me see.");

  // OpenAI's encrypted reasoning through a Messages client and back, without the item id; never on to Anthropic.
  await using openai = await startTestGateway({
    replies: {
      think: [sse([richStream("responses", { ...answer, replay: "gAAAA-native" })]), json(whole.responses)],
      plain: json(whole.messages),
    },
  });
  const thinking = { thinking: { type: "adaptive", display: "omitted" } };
  const first = await listen(openai, "messages", "responses:think", { body: thinking });
  const [signature = ""] = first.replays;
  const messages = [
    { role: "user", content: "hi" },
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "", signature },
        { type: "tool_use", id: "call_w", name: "get_weather", input: { city: "Köln" } },
      ],
    },
    { role: "user", content: [{ type: "tool_result", tool_use_id: "call_w", content: "rain" }] },
  ];
  await openai.ask("messages", "responses:think", false, { body: { ...thinking, messages } });
  const items = list(lastSent(openai)["input"]);
  expect(items[1]).toEqual({ type: "reasoning", summary: [], encrypted_content: "gAAAA-native" });
  expect(items[2]).toMatchObject({ type: "function_call", call_id: "call_w" });
  await openai.ask("messages", "messages:plain", false, { body: { ...thinking, messages } });
  expect(JSON.stringify(lastSent(openai))).not.toContain("clutch1.");

  // Gemini's signature hides in the call and has no place in any client's protocol.
  const signed = { google: { thought_signature: "gem-sig" } };
  const [start, ...rest] = [
    { index: 0, id: "call_w", function: { name: "get_weather", arguments: weather.arguments }, extra_content: signed },
    { index: 1, id: "call_t", function: { name: "get_time", arguments: time.arguments } },
  ];
  const google = await startFakeUpstream({
    flash: [
      sse([chatChunk({ tool_calls: [start ?? null, ...rest] }), chatChunk({}, "tool_calls"), chatDone]),
      json(whole.chat),
    ],
  });
  try {
    const gemini = { base_url: `http://127.0.0.1:${google.port}/v1`, api_key: "k" };
    const config = { default_provider: "gemini", providers: { gemini } };
    await using gateway = await startTestGateway({ replies: {}, config });
    const heard = await listen(gateway, "messages", "gemini:flash");
    expect(callsOf(heard)).toEqual([heardWeather, heardTime]);
    const used = callsOf(heard).map(({ id, name, arguments: given }) => ({
      type: "tool_use",
      id,
      name,
      input: given as Json,
    }));
    const results = used.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "ok" }));
    const history = [
      { role: "user", content: "hi" },
      { role: "assistant", content: used },
      { role: "user", content: results },
    ];
    await gateway.ask("messages", "gemini:flash", false, { body: { messages: history } });
    const said = list(google.requests.at(-1)?.body["messages"]).find((message) => message["role"] === "assistant");
    expect(list(said?.["tool_calls"]).map((one) => one["extra_content"])).toEqual([signed, undefined]);
  } finally {
    await google.stop();
  }
});

pain(5, "reasoning_content is not echoed to the models that demand it", async () => {
  const reply = () => [sse([richStream("chat", { reasoning: "Let me see.", calls: [weather] })]), json(whole.chat)];
  const echoed = async (
    client: Protocol,
    first: JsonObject,
    second: (heard: { reasoning: string; replay: string }) => JsonObject,
  ) => {
    await using gateway = await startTestGateway({ replies: { deep: reply() } });
    const heard = await listen(gateway, client, "chat:deep", { body: first });
    const body = { ...first, ...second({ reasoning: heard.reasoning, replay: heard.replays[0] ?? "" }) };
    await gateway.ask(client, "chat:deep", false, { body });
    const assistant = list(lastSent(gateway)["messages"]).find((message) => message["role"] === "assistant");
    expect(assistant).toMatchObject({ reasoning_content: "Let me see.", tool_calls: [{ id: "call_w" }] });
  };
  for (const display of ["summarized", "omitted"]) {
    await echoed("messages", { thinking: { type: "adaptive", display } }, ({ reasoning, replay }) => ({
      messages: [
        { role: "user", content: "hi" },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: reasoning, signature: replay },
            { type: "tool_use", id: "call_w", name: "get_weather", input: { city: "Köln" } },
          ],
        },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_w", content: "rain" }] },
      ],
    }));
  }
  await echoed("responses", {}, ({ reasoning, replay }) => ({
    input: [
      { role: "user", content: "hi" },
      { type: "reasoning", summary: [{ type: "summary_text", text: reasoning }], encrypted_content: replay },
      { type: "function_call", call_id: "call_w", name: "get_weather", arguments: weather.arguments },
      { type: "function_call_output", call_id: "call_w", output: "rain" },
    ],
  }));
});

pain(6, "thinking and effort fields that a target cannot take end in a 400", async () => {
  await using gateway = await startTestGateway({
    replies: {
      good: json(whole.chat),
      picky: [json({ error: { message: "Unsupported parameter: 'reasoning_effort'" } }, 400), json(whole.chat)],
      old: [
        json({ error: { message: "thinking: adaptive thinking is not supported on this model" } }, 400),
        json(whole.messages),
      ],
    },
  });
  // What Claude Code's sub-agents send: thinking switched off beside an effort.
  const contradiction = { thinking: { type: "disabled" }, output_config: { effort: "high" } };
  expect((await gateway.ask("messages", "chat:good", false, { body: contradiction })).status).toBe(200);
  expect(lastSent(gateway)).not.toContainAnyKeys(["reasoning_effort", "thinking", "output_config"]);
  // A model that does not think: the field is dropped once it has been refused, and not sent again.
  const adaptive = { thinking: { type: "adaptive" }, output_config: { effort: "high" } };
  expect((await gateway.ask("messages", "chat:picky", false, { body: adaptive })).status).toBe(200);
  expect((await gateway.ask("messages", "chat:picky", false, { body: adaptive })).status).toBe(200);
  const asked = gateway.upstream.requests.filter(({ body }) => body["model"] === "picky");
  expect(asked.map(({ body }) => body["reasoning_effort"])).toEqual(["high", undefined, undefined]);
  // The same between two speakers of Messages, and for a translated request.
  expect(
    (await gateway.ask("responses", "messages:old", false, { body: { reasoning: { effort: "high" } } })).status,
  ).toBe(200);
  const thinking = gateway.upstream.requests
    .filter(({ body }) => body["model"] === "old")
    .map(({ body }) => body["thinking"]);
  expect(thinking).toEqual([{ type: "adaptive" }, { type: "enabled", budget_tokens: 24_576 }]);
  // A budget always leaves room for the answer.
  const decoded = codecs.chat.decodeRequest({
    model: "m",
    messages: [{ role: "user", content: "hi" }],
    reasoning_effort: "max",
    max_tokens: 2000,
  });
  for (const thinkingMode of ["budget", "none", "adaptive"] as const) {
    const quirks = { ...plainQuirks, thinkingMode };
    const { body } = codecs.messages.encodeRequest(decoded, { model: "m", quirks });
    expect(checkRequest("messages", body, quirks)).toEqual([]);
    expect("thinking" in body).toBe(thinkingMode !== "none");
  }
});

pain(7, "count_tokens is missing, too low, or its 404 punishes the model", async () => {
  await using gateway = await startTestGateway({
    replies: { good: sse([streamed("messages")]), chatty: json(whole.chat) },
  });
  const count = async (model: string, more: JsonObject = {}) => {
    const body = { model, messages: [{ role: "user", content: "How many tokens are in this sentence?" }], ...more };
    const response = await fetch(`${gateway.url}${paths.messages}/count_tokens?beta=true`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    return Number(((await response.json()) as JsonObject)["input_tokens"]);
  };
  const plain = await count("chat:chatty");
  expect(plain).toBeWithin(8, 30);
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } };
  const everything = {
    system: "word ".repeat(100),
    tools: [{ name: "get_weather", description: "word ".repeat(100), input_schema: schema }],
    messages: [{ role: "user", content: [image, { type: "text", text: "x" }] }],
  };
  expect(await count("chat:chatty", everything)).toBeGreaterThan(200 + 1000);
  // The first second of an editor extension.
  const burst = await Promise.all(Array.from({ length: 50 }, () => count("chat:chatty")));
  expect(new Set(burst)).toEqual(new Set([plain]));
  // An upstream of the same protocol without the endpoint (the script answers 418) is asked, and the model stays in use.
  expect(await count("messages:good")).toBe(plain);
  const heard = await listen(gateway, "messages", "messages:good");
  expect(heard).toMatchObject({ status: 200, text: answerText, ending: "success" });
});

pain(9, "orphaned tool results or calls are refused after compaction", async () => {
  const histories: Record<Protocol, JsonObject> = {
    messages: {
      messages: [
        { role: "user", content: [{ type: "tool_result", tool_use_id: "gone", content: "old news" }] },
        {
          role: "assistant",
          content: [
            { type: "tool_use", id: "a", name: "x", input: {} },
            { type: "tool_use", id: "b", name: "x", input: {} },
          ],
        },
        {
          role: "user",
          content: [
            { type: "text", text: "wait" },
            { type: "tool_result", tool_use_id: "b", content: "done" },
          ],
        },
        { role: "user", content: "go on" },
      ],
    },
    chat: {
      messages: [
        { role: "tool", tool_call_id: "gone", content: "old news" },
        {
          role: "assistant",
          content: null,
          tool_calls: ["a", "b"].map((id) => ({ id, type: "function", function: { name: "x", arguments: "{}" } })),
        },
        { role: "user", content: "wait" },
        { role: "tool", tool_call_id: "b", content: "done" },
        { role: "user", content: "go on" },
      ],
    },
    responses: {
      input: [
        { type: "function_call_output", call_id: "gone", output: "old news" },
        { type: "function_call", call_id: "a", name: "x", arguments: "{}" },
        { type: "function_call", call_id: "b", name: "x", arguments: "{}" },
        { role: "user", content: "wait" },
        { type: "function_call_output", call_id: "b", output: "done" },
        { role: "user", content: "go on" },
      ],
    },
  };
  for (const [client, upstream] of translated) {
    await using gateway = await startTestGateway({ replies: { good: json(whole[upstream]) } });
    const response = await gateway.ask(client, `${upstream}:good`, false, { body: histories[client] });
    expect(response.status).toBe(200);
    const sent = lastSent(gateway);
    expect(checkRequest(upstream, sent, plainQuirks)).toEqual([]);
    const said = JSON.stringify(sent);
    for (const kept of ["[tool result gone]", "old news", "no result: interrupted", "done", "wait", "go on"]) {
      expect(said).toContain(kept);
    }
  }
});

pain(15, "an empty 200 counts as a success", async () => {
  for (const [client, upstream] of pairs) {
    const good: Reply = sse([streamed(upstream)]);
    const empties: Record<string, [Reply, Reply]> = {
      "nothing-said": [sse([emptyStreamed[upstream]]), json(emptyWhole[upstream])],
      "nothing-sent": [sse([]), text("", "application/json")],
      "an-error": [json({ error: { message: "quota", code: 429 } }), json({ error: { message: "quota", code: 429 } })],
      html: [text("<html>maintenance</html>", "text/html"), text("<html>maintenance</html>", "text/html")],
    };
    if (upstream === "chat") {
      const nulls = {
        ...whole.chat,
        choices: [{ index: 0, message: { role: "assistant", content: null }, finish_reason: "stop" }],
      };
      empties["nulls"] = [sse([chatChunk({ content: null }), chatChunk({}, "stop"), chatDone]), json(nulls)];
    }
    for (const [name, [emptyStream, emptyJson]] of Object.entries(empties)) {
      await using gateway = await startTestGateway({
        replies: { first: [emptyStream, emptyJson], good: [good, json(whole[upstream])] },
        config: { model_tiers: { BIG: { default: `${upstream}:first`, cascade: [`${upstream}:good`] } } },
      });
      const heard = await listen(gateway, client, "claude-opus");
      expect([name, heard.servedBy, heard.text, heard.ending]).toEqual([
        name,
        `${upstream}:good`,
        answerText,
        "success",
      ]);
      const response = await gateway.ask(client, "claude-opus", false);
      expect([name, response.headers.get("x-clutch-served-by")]).toEqual([name, `${upstream}:good`]);
    }
    // With nobody left to ask, an error in a 200 is an error.
    await using alone = await startTestGateway({
      replies: { bad: json({ error: { message: "quota" } }), cut: sse([]) },
    });
    expect((await alone.ask(client, `${upstream}:bad`, false)).status).toBeGreaterThanOrEqual(400);
    expect((await alone.ask(client, `${upstream}:cut`, true)).status).toBeGreaterThanOrEqual(400);
  }
});

pain(17, "images are dropped, in user turns or in tool results", async () => {
  const [shown, returned] = ["iVBORw0KGgoAAA==", "iVBORw0KGgoBBB=="];
  const url = (data: string) => `data:image/png;base64,${data}`;
  const block = (data: string) => ({ type: "image", source: { type: "base64", media_type: "image/png", data } });
  const part = (data: string) => ({ type: "image_url", image_url: { url: url(data) } });
  const item = (data: string) => ({ type: "input_image", image_url: url(data), detail: "auto" });
  const conversations: Record<Protocol, JsonObject> = {
    messages: {
      messages: [
        { role: "user", content: [{ type: "text", text: "look" }, block(shown)] },
        { role: "assistant", content: [{ type: "tool_use", id: "a", name: "screenshot", input: {} }] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "a", content: [{ type: "text", text: "shot" }, block(returned)] },
          ],
        },
      ],
    },
    chat: {
      messages: [
        { role: "user", content: [{ type: "text", text: "look" }, part(shown)] },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "a", type: "function", function: { name: "screenshot", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "a", content: [{ type: "text", text: "shot" }, part(returned)] },
      ],
    },
    responses: {
      input: [
        { role: "user", content: [{ type: "input_text", text: "look" }, item(shown)] },
        { type: "function_call", call_id: "a", name: "screenshot", arguments: "{}" },
        { type: "function_call_output", call_id: "a", output: [{ type: "input_text", text: "shot" }, item(returned)] },
      ],
    },
  };
  for (const [client, upstream] of pairs) {
    await using gateway = await startTestGateway({ replies: { eyes: json(whole[upstream]) } });
    expect((await gateway.ask(client, `${upstream}:eyes`, false, { body: conversations[client] })).status).toBe(200);
    const sent = lastSent(gateway);
    const conversation = list(sent["messages"] ?? sent["input"]);
    const [question] = conversation;
    const behind = conversation.slice(2);
    const wire = { messages: block, chat: part, responses: item }[upstream];
    // Neither the order of keys nor the wanted detail is of interest.
    const holds = (where: Json, image: JsonObject): boolean =>
      Bun.deepEquals(withoutDetail(where), withoutDetail(image)) ||
      (typeof where === "object" &&
        where !== null &&
        Object.values(where).some((value) => holds(value ?? null, image)));
    expect([client, upstream, holds(question ?? null, wire(shown))]).toEqual([client, upstream, true]);
    expect([client, upstream, holds(behind, wire(returned))]).toEqual([client, upstream, true]);
    if (client !== upstream) expect(checkRequest(upstream, sent, plainQuirks)).toEqual([]);
  }
});

pain(18, "strict back ends reject the tools' schemas", async () => {
  const nested = { enum: [1, "two", null], const: 1, anyOf: [{ $ref: "#/$defs/x" }, { type: "null" }], format: "uri" };
  const schemas: Record<string, Json> = {
    none: null,
    bare: {},
    typeless: { properties: { a: nested } },
    declared: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties: { a: nested },
      $defs: { x: {} },
    },
    union: {
      anyOf: [
        { type: "object", properties: { path: { type: "string" }, mode: nested }, required: ["path", "mode"] },
        { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
      ],
    },
  };
  for (const [client, upstream] of translated) {
    await using gateway = await startTestGateway({ replies: { strict: json(whole[upstream]) } });
    const tools = Object.entries(schemas).map(([name, parameters]) => declare(client, name, parameters));
    expect((await gateway.ask(client, `${upstream}:strict`, false, { body: { tools } })).status).toBe(200);
    const sent = lastSent(gateway);
    expect(checkRequest(upstream, sent, plainQuirks)).toEqual([]);
    const received = list(sent["tools"]).map((tool) =>
      record(tool["input_schema"] ?? tool["parameters"] ?? record(tool["function"])["parameters"]),
    );
    expect(received.slice(0, 4)).toEqual([
      { type: "object", properties: {} },
      { type: "object", properties: {} },
      { type: "object", properties: { a: nested } },
      { type: "object", properties: { a: nested }, $defs: { x: {} } },
    ]);
    if (upstream === "messages") {
      expect(received[4]).toEqual({
        type: "object",
        properties: { path: { type: "string" }, mode: nested },
        required: ["path"],
      });
    }
  }
});

pain(19, "the web search tool breaks the request, vanishes, or hijacks the traffic", async () => {
  const search = { type: "web_search_20250305", name: "web_search", max_uses: 8 };
  await using gateway = await startTestGateway({
    replies: { good: json(whole.chat), native: json(whole.messages), codex: json(whole.chat) },
  });
  // A search request of its own: a tool error that the agent can show, neither a 4xx that it repeats nor silence.
  for (const choice of [{}, { tool_choice: { type: "tool", name: "web_search" } }]) {
    const body = { tools: [search], ...choice };
    const answer = (await (await gateway.ask("messages", "chat:good", false, { body })).json()) as JsonObject;
    const types = list(answer["content"]).map((part) => part["type"]);
    expect(types).toEqual(["server_tool_use", "web_search_tool_result", "text"]);
    expect(list(answer["content"])[1]).toMatchObject({ content: { type: "web_search_tool_result_error" } });
    const heard = await listen(gateway, "messages", "chat:good", { body });
    expect(heard.violations).toEqual([]);
    expect(heard).toMatchObject({ status: 200, ending: "success" });
    expect(heard.text).toContain("web_search is not available for model good");
  }
  expect(gateway.upstream.requests).toEqual([]);
  // Listed among other tools it is only left out.
  const mixed = { tools: [search, declare("messages", "get_weather", schema)] };
  expect((await gateway.ask("messages", "chat:good", false, { body: mixed })).status).toBe(200);
  expect(list(lastSent(gateway)["tools"])).toMatchObject([{ function: { name: "get_weather" } }]);
  // An upstream of the same protocol gets it as it came.
  expect((await gateway.ask("messages", "messages:native", false, { body: { tools: [search] } })).status).toBe(200);
  expect(lastSent(gateway)["tools"]).toEqual([search]);
  // Codex lists it without a name; it never becomes a function.
  const listed = {
    tools: [{ type: "web_search", external_web_access: true }, declare("responses", "get_weather", schema)],
  };
  expect((await gateway.ask("responses", "chat:codex", false, { body: listed })).status).toBe(200);
  expect(list(lastSent(gateway)["tools"])).toMatchObject([{ function: { name: "get_weather" } }]);
});

pain(20, "beta headers and beta fields are rejected", async () => {
  const headers = {
    "anthropic-beta": "claude-code-20250219,effort-2025-11-24,context-management-2025-06-27",
    "anthropic-version": "2023-06-01",
  };
  const body = { context_management: { edits: [] }, betas: ["x"] };
  const refusedBeta = json(
    {
      error: {
        type: "invalid_request_error",
        message: "Unexpected value(s) `effort-2025-11-24` for the `anthropic-beta` header.",
      },
    },
    400,
  );
  const refusedField = json(
    { error: { type: "invalid_request_error", message: "context_management: Extra inputs are not permitted" } },
    400,
  );
  await using gateway = await startTestGateway({
    replies: {
      other: json(whole.chat),
      native: json(whole.messages),
      picky: [refusedBeta, refusedField, json(whole.messages)],
      stubborn: refusedField,
    },
  });
  const ask = async (model: string) => (await gateway.ask("messages", model, false, { headers, body })).status;
  const sentTo = (model: string) => gateway.upstream.requests.filter((request) => request.body["model"] === model);
  // Another vendor sees neither.
  expect(await ask("chat:other")).toBe(200);
  expect(sentTo("other")[0]?.headers).not.toContainAnyKeys(["anthropic-beta", "anthropic-version"]);
  expect(sentTo("other")[0]?.body).not.toContainAnyKeys(["context_management", "betas"]);
  // A speaker of the same protocol gets them verbatim.
  expect(await ask("messages:native")).toBe(200);
  expect(sentTo("native")[0]?.headers["anthropic-beta"]).toBe(headers["anthropic-beta"]);
  expect(sentTo("native")[0]?.body).toMatchObject(body);
  // What it refuses is left out at once, and from then on.
  expect(await ask("messages:picky")).toBe(200);
  expect(await ask("messages:picky")).toBe(200);
  const kept = "claude-code-20250219,context-management-2025-06-27";
  expect(
    sentTo("picky").map((request) => [request.headers["anthropic-beta"], "context_management" in request.body]),
  ).toEqual([
    [headers["anthropic-beta"], true],
    [kept, true],
    [kept, false],
    [kept, false],
  ]);
  // One that goes on refusing is asked once more and no longer.
  expect(await ask("messages:stubborn")).toBe(400);
  expect(sentTo("stubborn").length).toBe(2);
});

pain(22, "message_start reports 0 input tokens, or usage is missing", async () => {
  const long = { messages: [{ role: "user", content: "word ".repeat(400) }] };
  for (const upstream of ["chat", "responses"] as const) {
    await using gateway = await startTestGateway({
      replies: {
        counts: sse([streamed(upstream)]),
        silent: sse([richStream(upstream, { text: answerText, hasUsage: false })]),
      },
    });
    const response = await gateway.ask("messages", `${upstream}:counts`, true, { body: long });
    const stream = await response.text();
    const start = /^event: message_start\ndata: (.*)$/m.exec(stream)?.[1] ?? "{}";
    const announced = record(record((JSON.parse(start) as JsonObject)["message"])["usage"])["input_tokens"];
    expect(announced).toBeWithin(400, 700);
    expect(checkText("messages", stream).usage).toMatchObject(wireUsage.messages);
    if (upstream === "chat") expect(lastSent(gateway)["stream_options"]).toEqual({ include_usage: true });
    // Zeros would keep an agent from ever compacting.
    for (const client of protocols.filter((other) => other !== upstream)) {
      const { usage } = await listen(gateway, client, `${upstream}:silent`);
      const counted = usage?.["input_tokens"] ?? usage?.["prompt_tokens"];
      expect([client, Number(counted) > 0]).toEqual([client, true]);
    }
  }
});

pain(23, "silence kills the request", async () => {
  for (const [client, upstream] of pairs) {
    const [started, word, end] = [
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
    ];
    const { opening, words, ending } = pieces[upstream];
    // Not even a head until the first gate opens, then a word, then minutes of thinking.
    const slow: Reply = {
      head: { status: 200, headers: { "content-type": "text/event-stream" } },
      body: [started.promise, opening, word.promise, words("Grüße "), end.promise, words("🎉!") + ending],
      end: "complete",
    };
    await using gateway = await startTestGateway({ replies: { slow } });
    jest.useFakeTimers();
    try {
      const asked = gateway.ask(client, `${upstream}:slow`, true);
      await gateway.upstream.received(1);
      jest.advanceTimersByTime(8_000);
      const response = await asked;
      const reader = (response.body ?? new ReadableStream<Uint8Array>()).getReader();
      let heard = "";
      // Every timer stands still, so real round trips measure how long is long enough for a piece to arrive.
      const silence = async () => {
        for (let trip = 0; trip < 50; trip++) await (await fetch(`${gateway.url}/livez`)).text();
        throw new Error(`${client} on ${upstream}: nothing is written`);
      };
      const next = async () => {
        const { value } = await Promise.race([reader.read(), silence()]);
        const piece = new TextDecoder().decode(value);
        heard += piece;
        return piece;
      };
      const ping = client === "messages" ? "event: ping" : ": keep-alive";
      await next();
      for (let minute = 0; minute < 4; minute++) {
        jest.advanceTimersByTime(15_000);
        expect(await next()).toContain(ping);
      }
      started.resolve();
      word.resolve();
      while (!heard.includes("Grüße")) await next();
      for (let minute = 0; minute < 4; minute++) {
        jest.advanceTimersByTime(15_000);
        expect(await next()).toContain(ping);
      }
      end.resolve();
      for (let read = await reader.read(); !read.done; read = await reader.read())
        heard += new TextDecoder().decode(read.value);
      const report = checkText(client, heard);
      expect([client, upstream, report.text, report.ending]).toEqual([client, upstream, answerText, "success"]);
    } finally {
      jest.useRealTimers();
    }
  }
});

pain(24, "the stream dies without a terminal event", async () => {
  for (const [client, upstream] of pairs) {
    const { opening, words, ending } = pieces[upstream];
    const begun = opening + words("Grüße ");
    for (const end of ["complete", "cut", "reset"] as const) {
      const { promise: read, resolve } = Promise.withResolvers<void>();
      await using gateway = await startTestGateway({ replies: { broken: sse([begun, read], end) } });
      const response = await gateway.ask(client, `${upstream}:broken`, true);
      resolve();
      const stream = await response.text();
      const report = checkText(client, stream);
      expect([client, upstream, end, report.ending]).toEqual([client, upstream, end, "error"]);
      expect(stream).not.toContain("[DONE]");
      // Words by which agents know that it is worth another try.
      expect(report.error?.message).toMatch(/connection lost|server error/);
      if (client !== upstream) expect(report.violations).toEqual([]);
    }
    // The opposite mistake: to wait for more once the answer is whole.
    const whole = begun + words("🎉!") + ending.replace("data: [DONE]\n\n", "");
    await using gateway = await startTestGateway({
      replies: { bare: sse([whole]), held: sse([begun + words("🎉!") + ending], "open") },
    });
    const bare = await listen(gateway, client, `${upstream}:bare`);
    if (client !== upstream || client !== "chat")
      expect([client, upstream, bare.ending]).toEqual([client, upstream, "success"]);
    expect(await gateway.request(bare.requestId)).toMatchObject({ status: "completed" });
    const held = await within(5000, "a stream that is over", listen(gateway, client, `${upstream}:held`));
    expect([client, upstream, held.text, held.ending]).toEqual([client, upstream, answerText, "success"]);
    // When the client leaves, nobody goes on generating for it.
    await using left = await startTestGateway({ replies: { endless: sse([begun], "open") } });
    const leaving = new AbortController();
    const response = await left.ask(client, `${upstream}:endless`, true, { signal: leaving.signal });
    await response.body?.getReader().read();
    leaving.abort();
    await within(5000, "the abort of the upstream", left.upstream.quiet());
  }
});

pain(25, "Codex loses its namespace and freeform tools, or its terminal event", async () => {
  const recorded = (name: string) =>
    JSON.parse(
      readFileSync(new URL(`../fixtures/responses/${name}.request.json`, import.meta.url), "utf8"),
    ) as JsonObject;
  const patch = '*** Begin Patch\n+ "q" \\ 🎉\n*** End Patch';
  const cases = [
    {
      name: "codex-additional-tools",
      calls: [
        { id: "c1", name: "exec", arguments: JSON.stringify({ input: patch }) },
        { id: "c2", name: "clock__sleep", arguments: '{"seconds":1}' },
        { id: "c3", name: "wait", arguments: "{}" },
      ],
      heard: [
        { id: "c1", type: "custom_tool_call", name: "exec", arguments: patch },
        { id: "c2", type: "function_call", name: "sleep", namespace: "clock", arguments: '{"seconds":1}' },
        { id: "c3", type: "function_call", name: "wait", arguments: "{}" },
      ],
    },
    {
      name: "codex-plain",
      calls: [
        { id: "c1", name: "apply_patch", arguments: JSON.stringify({ input: patch }) },
        { id: "c2", name: "multi_agent_v1__close_agent", arguments: '{"target":"a"}' },
        { id: "c3", name: "exec_command", arguments: '{"cmd":"ls"}' },
        { id: "c4", name: "tool_search", arguments: '{"query":"mail"}' },
      ],
      heard: [
        { id: "c1", type: "custom_tool_call", name: "apply_patch", arguments: patch },
        {
          id: "c2",
          type: "function_call",
          name: "close_agent",
          namespace: "multi_agent_v1",
          arguments: '{"target":"a"}',
        },
        { id: "c3", type: "function_call", name: "exec_command", arguments: '{"cmd":"ls"}' },
        { id: "c4", type: "tool_search_call", name: "", arguments: '{"query":"mail"}' },
      ],
    },
  ];
  for (const { name, calls, heard: expected } of cases) {
    for (const upstream of ["chat", "messages"] as const) {
      const { model: _, ...body } = recorded(name);
      const broken = pieces[upstream].opening + pieces[upstream].words("x");
      await using gateway = await startTestGateway({
        replies: {
          good: [sse([richStream(upstream, { text: "On it.", calls })]), json(whole[upstream])],
          broken: sse([broken]),
        },
      });
      const heard = await listen(gateway, "responses", `${upstream}:good`, { body });
      expect(heard.violations).toEqual([]);
      expect(heard).toMatchObject({ text: "On it.", stop: "completed", ending: "success" });
      expect(heard.calls).toEqual(expected);
      const sent = lastSent(gateway);
      expect(checkRequest(upstream, sent, plainQuirks)).toEqual([]);
      const declared = list(sent["tools"]).map((tool) => tool["name"] ?? record(tool["function"])["name"]);
      for (const call of calls) expect(declared).toContain(call.name);
      // The calls come back in Codex's own items, and go out again under the names that the model knows.
      const items: JsonObject[] = heard.calls.map(({ id, type, name: called, namespace, arguments: given }) => ({
        type,
        call_id: id,
        ...(called === "" ? {} : { name: called }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(type === "custom_tool_call"
          ? { input: given }
          : { arguments: type === "tool_search_call" ? (JSON.parse(given) as Json) : given }),
      }));
      const outputs = heard.calls.map(({ id, type }) => ({
        type: type === "tool_search_call" ? "tool_search_output" : `${type}_output`,
        call_id: id,
        output: "ok",
        tools: [],
      }));
      const input = [...list(body["input"]), ...items, ...outputs];
      await gateway.ask("responses", `${upstream}:good`, false, { body: { ...body, input, stream: false } });
      const again = lastSent(gateway);
      expect(checkRequest(upstream, again, plainQuirks)).toEqual([]);
      const said = JSON.stringify(again["messages"]);
      for (const call of calls) expect(said).toContain(`"name":"${call.name}"`);
      const failed = await listen(gateway, "responses", `${upstream}:broken`, { body });
      expect(failed).toMatchObject({ ending: "error", violations: [] });
    }
  }
});

test("an answer of nothing but a custom tool's call is not taken for an empty one", async () => {
  const call = { id: "call_1", type: "custom", custom: { name: "exec", input: "ls" } };
  const message = { role: "assistant", content: null, tool_calls: [call] };
  const stream = [chatChunk({ role: "assistant", content: null }), chatChunk({ tool_calls: [{ index: 0, ...call }] })];
  const replies = {
    streamed: sse([...stream, chatChunk({}, "tool_calls"), chatDone]),
    whole: json({ ...whole.chat, choices: [{ index: 0, message, finish_reason: "tool_calls" }] }),
    good: json(whole.chat),
  };
  const tools = [{ type: "custom", custom: { name: "exec" } }];
  for (const [first, isStream] of [
    ["streamed", true],
    ["whole", false],
  ] as const) {
    const config = { model_tiers: { BIG: { default: `chat:${first}`, cascade: ["chat:good"] } } };
    await using gateway = await startTestGateway({ replies, config });
    const response = await gateway.ask("chat", "claude-opus", isStream, { body: { tools } });
    expect([first, response.headers.get("x-clutch-served-by")]).toEqual([first, `chat:${first}`]);
  }
});
