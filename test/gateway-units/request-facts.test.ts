import { describe, expect, test } from "bun:test";
import type { AgentId } from "../../src/agent-roles.ts";
import { agentCalls } from "../../src/gateway/agent-calls.ts";
import { parseAtOnceBytes, RequestBody } from "../../src/gateway/body.ts";
import { type RequestFacts, readFacts } from "../../src/gateway/request-facts.ts";
import { outlineRequest } from "../../src/gateway/request-outline.ts";
import type { Json, JsonObject, Protocol } from "../../src/protocols/chat.ts";

interface About {
  agent?: AgentId;
  headers?: Record<string, string>;
}

function bodyOf(json: JsonObject): RequestBody {
  return new RequestBody(Buffer.from(JSON.stringify({ model: "m", ...json })));
}

function factsOf(protocol: Protocol, json: JsonObject | RequestBody, { agent, headers }: About = {}): RequestFacts {
  const body = json instanceof RequestBody ? json : bodyOf(json);
  const outline = () => outlineRequest(protocol, body.object());
  return readFacts({ protocol, body, outline, headers: new Headers(headers), agent });
}

/** One conversation, as it would be told in each dialect. */
interface Story {
  system: string;
  turns: StoryTurn[];
  tools: { name: string; description: string; parameters: JsonObject }[];
  searches: boolean;
  forces: boolean;
  effort: string | undefined;
  schema: string[];
}
type StoryTurn =
  | { by: "user"; text: string; images: number[] }
  | { by: "note"; text: string }
  | { by: "model"; text: string; call: { name: string; input: JsonObject } | undefined }
  | { by: "tool"; text: string; images: number[] };

const dataOf = (length: number) => "A".repeat(length);
const dataUrl = (length: number) => `data:image/png;base64,${dataOf(length)}`;

function tellMessages(story: Story): JsonObject {
  const image = (length: number) => ({
    type: "image",
    source: { type: "base64", media_type: "image/png", data: dataOf(length) },
  });
  const said = (text: string, images: number[]) => [{ type: "text", text }, ...images.map(image)];
  const tools: JsonObject[] = story.tools.map(({ name, description, parameters }) => ({
    name,
    description,
    input_schema: parameters,
  }));
  if (story.searches) tools.push({ type: "web_search_20250305", name: "web_search" });
  const format = { type: "json_schema", schema: schemaOf(story) };
  return {
    system: [{ type: "text", text: story.system }],
    messages: story.turns.map((turn): JsonObject => {
      if (turn.by === "user") return { role: "user", content: said(turn.text, turn.images) };
      if (turn.by === "note") return { role: "system", content: turn.text };
      if (turn.by === "tool") {
        const content = said(turn.text, turn.images);
        return { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content }] };
      }
      const content: Json[] = [{ type: "text", text: turn.text }];
      if (turn.call !== undefined) content.push({ type: "tool_use", id: "t1", ...turn.call });
      return { role: "assistant", content };
    }),
    tools,
    ...(story.forces ? { tool_choice: { type: "tool", name: "web_search" } } : {}),
    output_config: { effort: story.effort, ...(story.schema.length > 0 ? { format } : {}) },
  };
}

function tellChat(story: Story): JsonObject {
  const said = (text: string, images: number[]) => [
    { type: "text", text },
    ...images.map((length) => ({ type: "image_url", image_url: { url: dataUrl(length) } })),
  ];
  const tools: JsonObject[] = story.tools.map((tool) => ({ type: "function", function: tool }));
  if (story.searches) tools.push({ type: "web_search", name: "web_search" });
  return {
    messages: [
      { role: "system", content: story.system },
      ...story.turns.map((turn): JsonObject => {
        if (turn.by === "user") return { role: "user", content: said(turn.text, turn.images) };
        if (turn.by === "note") return { role: "developer", content: turn.text };
        if (turn.by === "tool") return { role: "tool", tool_call_id: "t1", content: said(turn.text, turn.images) };
        const { call } = turn;
        if (call === undefined) return { role: "assistant", content: turn.text };
        const made = { name: call.name, arguments: JSON.stringify(call.input) };
        return { role: "assistant", content: turn.text, tool_calls: [{ id: "t1", type: "function", function: made }] };
      }),
    ],
    tools,
    ...(story.forces ? { tool_choice: { type: "web_search" } } : {}),
    reasoning_effort: story.effort,
    ...(story.schema.length > 0
      ? { response_format: { type: "json_schema", json_schema: { name: "s", schema: schemaOf(story) } } }
      : {}),
  };
}

/** @param asItem the dialect of Codex' newer models: tools in the input */
function tellResponses(story: Story, asItem: boolean): JsonObject {
  const said = (kind: string, text: string, images: number[]) => [
    { type: kind, text },
    ...images.map((length) => ({ type: "input_image", image_url: dataUrl(length) })),
  ];
  const functions = story.tools.map((tool) => ({ type: "function", ...tool }));
  const tools: JsonObject[] = asItem ? [{ type: "namespace", name: "functions", tools: functions }] : functions;
  if (story.searches) tools.push({ type: "web_search", name: "web_search" });
  const items = story.turns.flatMap((turn): JsonObject[] => {
    if (turn.by === "user") {
      return [{ type: "message", role: "user", content: said("input_text", turn.text, turn.images) }];
    }
    if (turn.by === "note") return [{ type: "message", role: "developer", content: said("input_text", turn.text, []) }];
    if (turn.by === "tool") {
      return [{ type: "function_call_output", call_id: "t1", output: said("input_text", turn.text, turn.images) }];
    }
    const spoken = { type: "message", role: "assistant", content: [{ type: "output_text", text: turn.text }] };
    if (turn.call === undefined) return [spoken];
    const made = { name: turn.call.name, arguments: JSON.stringify(turn.call.input) };
    return [spoken, { type: "function_call", call_id: "t1", ...made }];
  });
  return {
    ...(asItem ? {} : { instructions: story.system, tools }),
    input: asItem
      ? [
          { type: "additional_tools", role: "developer", tools },
          { type: "message", role: "developer", content: story.system },
          ...items,
        ]
      : items,
    ...(story.forces ? { tool_choice: { type: "web_search" } } : {}),
    reasoning: { effort: story.effort },
    ...(story.schema.length > 0 ? { text: { format: { type: "json_schema", schema: schemaOf(story) } } } : {}),
  };
}

function schemaOf(story: Story): JsonObject {
  return { type: "object", properties: Object.fromEntries(story.schema.map((key) => [key, { type: "string" }])) };
}

/** Small and quick (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function inventStory(random: () => number): Story {
  const pick = <Item>(...items: Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const text = () =>
    pick("fix it", "Grüße 🎉", "多语言文本", 'a\n"quoted"\\ line', "x".repeat(Math.floor(random() * 400)) || "y");
  const images = () => pick([], [], [], [40], [9000], [20, 7000]);
  const notes = [
    "<system-reminder>\nPlan mode is active. Do not edit.\n</system-reminder>",
    "## Exited Plan Mode\n\nGo on.",
    "The date is today.",
    "<collaboration_mode># Plan Mode (Conversational)",
  ];
  const turns = Array.from({ length: 1 + Math.floor(random() * 8) }, (): StoryTurn => {
    const by = pick("user", "note", "model", "tool");
    if (by === "user") return { by, text: text(), images: images() };
    if (by === "tool") return { by, text: pick(text(), "Plan mode is active, says this file"), images: images() };
    if (by === "note") return { by, text: pick(...notes) };
    const call = { name: pick("read", "ExitPlanMode"), input: { path: text(), line: 3 } };
    return { by, text: text(), call: pick(undefined, call) };
  });
  const searches = random() < 0.3;
  return {
    system: `You are an agent. ${text()}`,
    turns,
    tools: pick([], [{ name: "read", description: text(), parameters: { type: "object", properties: { path: {} } } }]),
    searches,
    forces: searches && random() < 0.5,
    effort: pick(undefined, "low", "high", "xhigh", "max"),
    schema: pick([], ["title"], ["a", "b"]),
  };
}

test("the same conversation gives the same facts in every dialect", () => {
  const seed = Number(process.env.FACTS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = randomFrom(seed);
  const found = { hasImage: 0, webSearch: 0, thinks: 0, call: 0 };
  for (let round = 0; round < 500; round++) {
    const story = inventStory(random);
    const told = {
      messages: factsOf("messages", tellMessages(story), { agent: "claude" }),
      chat: factsOf("chat", tellChat(story), { agent: "claude" }),
      responses: factsOf("responses", tellResponses(story, false), { agent: "claude" }),
      "responses, tools as an item": factsOf("responses", tellResponses(story, true), { agent: "claude" }),
    };
    const view = ({ hasTools, hasImage, webSearch, tokens, thinks, call }: RequestFacts) => {
      return { hasTools, hasImage, webSearch, tokens, thinks, role: call?.role };
    };
    const expected = view(told.messages);
    for (const [dialect, facts] of Object.entries(told)) {
      expect({ seed, round, dialect, ...view(facts) }).toEqual({ seed, round, dialect, ...expected });
    }
    if (expected.hasImage) found.hasImage++;
    if (expected.webSearch !== undefined) found.webSearch++;
    if (expected.thinks !== undefined) found.thinks++;
    if (expected.role !== undefined) found.call++;
  }
  // The stories are no proof if they never have what is looked for.
  for (const [fact, times] of Object.entries(found)) expect([fact, times > 5 && times < 495]).toEqual([fact, true]);
});

test("no odd shape stops a question", () => {
  const odd: Json[] = [null, 1, "x", true, [], {}, [null], [[]], [{}], [{ type: "image" }], [{ type: "tool_result" }]];
  const story = inventStory(randomFrom(1));
  const told: [Protocol, JsonObject][] = [
    ["messages", tellMessages(story)],
    ["chat", tellChat(story)],
    ["responses", tellResponses(story, true)],
  ];
  for (const [protocol, body] of told) {
    for (const key of [
      ...Object.keys(body),
      "thinking",
      "tool_choice",
      "response_format",
      "text",
      "reasoning",
      "format",
    ]) {
      for (const value of odd) {
        const holders: JsonObject[] = [{ ...body, [key]: value }];
        for (const list of ["messages", "input"]) {
          holders.push({
            ...body,
            [list]: [{ type: key, role: "user", content: value, output: value, tool_calls: value }],
          });
          holders.push({
            ...body,
            [list]: [{ role: "assistant", content: [{ type: "tool_use", [key]: value, content: value }] }],
          });
        }
        for (const holder of holders) {
          const { hasTools, hasImage, webSearch, tokens, thinks, call } = factsOf(protocol, holder, {
            agent: "hermes",
          });
          expect(tokens).toBeGreaterThanOrEqual(0);
          expect([typeof hasTools, typeof hasImage]).toEqual(["boolean", "boolean"]);
          expect([webSearch, thinks, call].length).toBe(3);
        }
      }
    }
  }
});

test("no depth stops a question", () => {
  const deep = (open: string, close: string, times: number) => open.repeat(times) + close.repeat(times);
  const results = deep('[{"type":"tool_result","content":', "}]", 5000).replace('"content":}', '"content":[]}');
  const text = `{"model":"m","messages":[{"role":"user","content":${results}},{"role":"assistant","content":[{"type":"tool_use","name":"n","input":${deep("[", "]", 100_000)}}]}]}`;
  const facts = factsOf("messages", new RequestBody(Buffer.from(text)));
  expect([facts.hasImage, facts.thinks, facts.webSearch]).toEqual([false, undefined, undefined]);
  // Too deep to be written again, so it counts for nothing.
  expect(facts.tokens).toBe(0);
});

const image = { type: "image", source: { type: "base64", media_type: "image/png", data: dataOf(100) } };
const user = (...content: Json[]) => ({ role: "user", content });
const text = (said: string) => ({ type: "text", text: said });
const answered = { role: "assistant", content: [text("done")] };
const called = { role: "assistant", content: [{ type: "tool_use", id: "t", name: "Read", input: {} }] };
const result = (...content: Json[]) => user({ type: "tool_result", tool_use_id: "t", content });

describe("hasImage", () => {
  const rows: [name: string, messages: Json[], hasImage: boolean][] = [
    ["is so for the image the person shows", [user(text("see"), image)], true],
    ["is so while its turn goes on", [user(text("see"), image), called, result(text("x"))], true],
    ["is so for what a tool brought back", [user(text("see x.png")), called, result(image)], true],
    ["is not so once it has been answered", [user(text("see"), image), answered, user(text("go on"))], false],
    [
      "is still so when only a reminder follows",
      [user(text("see"), image), answered, user(text("<system-reminder>\nnews\n</system-reminder>"))],
      true,
    ],
    ["is not so without one", [user(text("image"))], false],
    ["is not so without messages", [], false],
  ];
  test.each(rows)("%s", (_name, messages, hasImage) => {
    expect(factsOf("messages", { messages }).hasImage).toBe(hasImage);
  });
});

describe("webSearch", () => {
  const search = { type: "web_search_20250305", name: "web_search" };
  const read = { name: "Read", input_schema: {} };
  const rows: [name: string, protocol: Protocol, body: JsonObject, asked: RequestFacts["webSearch"]][] = [
    ["sole tool", "messages", { tools: [search] }, "sole"],
    ["one of two", "messages", { tools: [search, read] }, undefined],
    ["forced", "messages", { tools: [search, read], tool_choice: { type: "tool", name: "web_search" } }, "forced"],
    [
      "another one forced",
      "messages",
      { tools: [search, read], tool_choice: { type: "tool", name: "Read" } },
      undefined,
    ],
    ["a tool of the client's by that name", "messages", { tools: [{ name: "web_search" }] }, undefined],
    ["no tools", "messages", { tools: [] }, undefined],
    ["Codex' usual list", "responses", { tools: [{ type: "function", name: "x" }, { type: "web_search" }] }, undefined],
    [
      "forced",
      "responses",
      { tools: [{ type: "web_search_preview" }], tool_choice: { type: "web_search_preview" } },
      "forced",
    ],
    ["a search model's field", "chat", { web_search_options: {} }, "forced"],
  ];
  test.each(rows)("%s in %s", (_name, protocol, body, asked) => {
    expect(factsOf(protocol, body).webSearch).toBe(asked);
  });
});

describe("thinks", () => {
  const reminder = (said: string) => text(`<system-reminder>\n${said}\n</system-reminder>`);
  const claude = (said: string) => ({ role: "system", content: said });
  const planning = claude("# Environment\n\nPlan mode is active. The user does not want you to execute yet.");
  const rows: [name: string, protocol: Protocol, body: JsonObject, reason: string | undefined][] = [
    ["thinking enabled", "messages", { thinking: { type: "enabled", budget_tokens: 2000 } }, "thinking enabled"],
    ["adaptive alone, which Claude Code always sends", "messages", { thinking: { type: "adaptive" } }, undefined],
    [
      "adaptive with a high effort",
      "messages",
      { thinking: { type: "adaptive" }, output_config: { effort: "high" } },
      undefined,
    ],
    ["the highest effort", "messages", { output_config: { effort: "max" } }, "effort max"],
    ["a high effort of chat", "chat", { reasoning_effort: "xhigh" }, "effort xhigh"],
    ["a high effort of OpenRouter's", "chat", { reasoning: { effort: "xhigh" } }, "effort xhigh"],
    ["a high effort of Responses", "responses", { reasoning: { effort: "xhigh" } }, "effort xhigh"],
    ["thinking of chat", "chat", { thinking: { type: "enabled" } }, "thinking enabled"],
    [
      "plan mode, said once",
      "messages",
      { messages: [user(text("a")), planning, answered, user(text("b"))] },
      "plan mode",
    ],
    [
      "plan mode that was left",
      "messages",
      { messages: [user(text("a")), planning, answered, user(text("b")), claude("## Exited Plan Mode\n\nGo on.")] },
      undefined,
    ],
    [
      "plan mode whose plan was handed in",
      "messages",
      {
        messages: [
          planning,
          { role: "assistant", content: [{ type: "tool_use", id: "t", name: "ExitPlanMode", input: {} }] },
          result(text("approved")),
        ],
      },
      undefined,
    ],
    [
      "plan mode of Qwen's",
      "chat",
      { messages: [user(reminder("Plan mode is active. Wait."), text("a"))] },
      "plan mode",
    ],
    [
      "plan mode of Qwen's that was left",
      "chat",
      {
        messages: [
          user(reminder("Plan mode is active. Wait.")),
          user(reminder("Plan mode is no longer active. It supersedes any reminder that Plan mode is active.")),
        ],
      },
      undefined,
    ],
    [
      "plan mode before the person's words in one text",
      "chat",
      { messages: [{ role: "user", content: "<system-reminder>Plan mode is active</system-reminder>\nplan it" }] },
      "plan mode",
    ],
    [
      "plan mode of Codex'",
      "responses",
      { input: [{ type: "message", role: "developer", content: "<collaboration_mode># Plan Mode (Conversational)" }] },
      "plan mode",
    ],
    [
      "plan mode of Codex' that was left",
      "responses",
      {
        input: [
          { type: "message", role: "developer", content: "<collaboration_mode># Plan Mode (Conversational)" },
          { type: "message", role: "developer", content: "<collaboration_mode># Collaboration Mode: Default" },
        ],
      },
      undefined,
    ],
    ["a person who speaks of it", "messages", { messages: [user(text("Plan mode is active"))] }, undefined],
    [
      "a file that quotes it",
      "messages",
      { messages: [user(text("a")), called, result(text("Plan mode is active"))] },
      undefined,
    ],
    [
      "Qwen's own words on its tool",
      "chat",
      { messages: [{ role: "system", content: "Do not enter plan mode" }] },
      undefined,
    ],
  ];
  test.each(rows)("%s in %s", (_name, protocol, body, reason) => {
    expect(factsOf(protocol, body).thinks).toBe(reason);
  });
});

describe("tokens", () => {
  test("count what the model reads: system, messages, calls, results and tools, but no image's bytes", () => {
    const facts = factsOf("messages", {
      system: "s".repeat(400),
      messages: [
        user(text("u".repeat(400)), { type: "image", source: { type: "base64", data: dataOf(50_000) } }),
        {
          role: "assistant",
          content: [{ type: "tool_use", id: "t", name: "n".repeat(40), input: { a: "b".repeat(392) } }],
        },
        result(text("r".repeat(400))),
      ],
      tools: [{ name: "t".repeat(40), description: "d".repeat(360), input_schema: { a: "c".repeat(392) } }],
    });
    expect(facts.tokens).toBe(100 + 100 + 1600 + 10 + 100 + 100 + 10 + 90 + 100);
    expect([facts.exceeds(2209), facts.exceeds(2210)]).toEqual([true, false]);
  });

  test("are not counted in a body that is too short for them", () => {
    const body = bodyOf({ messages: [user(text("x".repeat(parseAtOnceBytes)))] });
    expect(factsOf("messages", body).exceeds(60_000)).toBe(false);
    expect(body.isParsed).toBe(false);
    expect(factsOf("messages", body).exceeds(1_000)).toBe(true);
    expect(body.isParsed).toBe(true);
  });
});

describe("a large body stays unparsed", () => {
  const large = (json: JsonObject) => bodyOf({ ...json, padding: "x".repeat(parseAtOnceBytes) });

  test("for tools and for what headers tell", () => {
    const body = large({ tools: [{ name: "a" }], messages: [] });
    const facts = factsOf("messages", body, { agent: "claude" });
    expect([facts.hasTools, facts.callAtNoCost, body.isParsed]).toEqual([true, undefined, false]);
    expect(factsOf("responses", large({ input: [] })).hasTools).toBe(false);
  });

  test("unless Codex may have put its tools into the input", () => {
    const item = {
      type: "additional_tools",
      tools: [{ type: "namespace", name: "f", tools: [{ type: "custom", name: "exec" }] }],
    };
    expect(factsOf("responses", large({ input: [item] })).hasTools).toBe(true);
    expect(factsOf("responses", large({ input: [{ ...item, tools: [] }] })).hasTools).toBe(false);
    expect(factsOf("responses", large({ input: [{ type: "message", content: '"additional_tools"' }] })).hasTools).toBe(
      false,
    );
  });

  test("and each answer is found once", () => {
    let reads = 0;
    const body = bodyOf({ messages: [] });
    const outline = () => {
      reads++;
      return outlineRequest("messages", body.object());
    };
    const facts = readFacts({ protocol: "messages", body, outline, headers: new Headers(), agent: undefined });
    expect([facts.thinks, facts.thinks, facts.thinks]).toEqual([undefined, undefined, undefined]);
    expect(reads).toBe(1);
  });
});

describe("call", () => {
  const system = (content: string) => ({ role: "system", content });
  const hermes = (first: string) => ({ messages: [{ role: "user", content: first }] });
  const titleFormat = { type: "json_schema", schema: { type: "object", properties: { title: { type: "string" } } } };
  const tools = [{ name: "Read" }];
  const rows: [
    agent: AgentId,
    protocol: Protocol,
    body: JsonObject,
    headers: Record<string, string>,
    role: string | undefined,
  ][] = [
    ["claude", "messages", { messages: [], tools: [], output_config: { format: titleFormat } }, {}, "title"],
    ["claude", "messages", { messages: [], tools, output_config: { format: titleFormat } }, {}, undefined],
    ["claude", "messages", { messages: [], tools: [] }, {}, undefined],
    [
      "codex",
      "responses",
      { input: [] },
      { "x-codex-turn-metadata": '{"request_kind":"turn","thread_source":"thread_title"}' },
      "title",
    ],
    ["codex", "responses", { input: [] }, { "x-codex-turn-metadata": '{"thread_source":"user"}' }, undefined],
    // Its compaction comes without tools too.
    ["codex", "responses", { input: [], tools: [] }, {}, undefined],
    ["opencode", "chat", { messages: [system("You are a title generator. You output")] }, {}, "title"],
    ["opencode", "chat", { messages: [system("You are OpenCode")] }, {}, undefined],
    [
      "qwen",
      "chat",
      { messages: [system("You are now acting as the managed memory extraction subagent for")], tools },
      {},
      "memory_extraction",
    ],
    [
      "hermes",
      "chat",
      { messages: [system("Generate a short, descriptive title (3-7 words) for")] },
      {},
      "title_generation",
    ],
    [
      "hermes",
      "chat",
      { messages: [system("You are Hermes.\n\nYou are a focused subagent working on a specific delegated task.")] },
      {},
      "delegation",
    ],
    ["hermes", "chat", hermes("You are a summarization agent creating a context checkpoint. Treat"), {}, "compression"],
    ["hermes", "chat", hermes("USER IMPORTANCE CRITERIA:\nurgent\n\nITEMS:"), {}, "monitor"],
    ["hermes", "chat", hermes("Analyze this browser screenshot and answer: what"), {}, undefined],
    [
      "hermes",
      "chat",
      {
        messages: [
          user(text("Analyze this browser screenshot and answer: what"), {
            type: "image_url",
            image_url: { url: "data:image/png;base64,AAAA" },
          }),
        ],
      },
      {},
      "vision",
    ],
    ["hermes", "chat", hermes("please fix it"), {}, undefined],
    ["claude", "messages", { messages: [system("You are a title generator")] }, {}, undefined],
  ];
  test.each(rows)("of %s in %s: %j with %j is %p", (agent, protocol, body, headers, role) => {
    expect(factsOf(protocol, body, { agent, headers }).call?.role).toBe(role);
  });

  test("is none of an agent that nobody knows", () => {
    expect(factsOf("chat", { messages: [system("You are a title generator")] }).call).toBeUndefined();
  });

  test("is one of each role that the config may name", async () => {
    const { agentRoles } = await import("../../src/agent-roles.ts");
    const inTable = agentCalls.map(({ agent, role }) => `${agent}.${role}`);
    const named = Object.entries(agentRoles).flatMap(([agent, roles]) => roles.map((role) => `${agent}.${role}`));
    expect(named.filter((name) => name !== "hermes.primary").sort()).toEqual(inTable.sort());
  });
});
