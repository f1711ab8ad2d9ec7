/** Random answers in Clutch's own terms through every encoder and back: what was said must be what is understood. */

import type { ChatEvent, FinishReason, Json, Protocol, Replay, Usage } from "../src/protocols/chat.ts";
import { plainQuirks, type SseMessage } from "../src/protocols/codec.ts";
import { unwrapReplay } from "../src/protocols/envelope.ts";
import { codecs } from "../src/protocols/index.ts";
import { renderSse, SseReader } from "../src/protocols/sse.ts";
import { checkEvents } from "./event-rules.ts";
import type { Kind } from "./kind.ts";
import type { Random } from "./random.ts";
import { protocols, replyTo, spokenText, withoutBreaks } from "./replies.ts";
import { clientRequest, clientTools } from "./seeds.ts";

interface SequenceInput {
  client: Protocol;
  events: ChatEvent[];
  opensEarly: boolean;
}

export const sequenceKind: Kind<SequenceInput> = {
  name: "sequences",
  make(random) {
    const client = random.pick(protocols);
    return { client, events: makeEvents(client, random), opensEarly: random.chance(0.2) };
  },
  check,
  *smaller(input) {
    for (let at = 0; at < input.events.length; at++) {
      const events = withoutEvent(input.events, at);
      if (checkEvents(events).length === 0) yield { ...input, events };
    }
  },
  show: (input) => JSON.stringify(input),
};

const texts = ["a", "Grüße ", "🎉", " ", "\n", "<think>", "data: [DONE]\n\n", '"\\', "x".repeat(40), "中文"] as const;
const replays = [
  { kind: "anthropic", signature: "sig+/=" },
  { kind: "redacted", data: "opaque" },
  { kind: "openai", encrypted: "gAAA" },
  { kind: "field", field: "reasoning_content" },
  { kind: "details", details: [{ type: "reasoning.encrypted", data: "d", index: 0 }] },
] as const satisfies readonly Replay[];
/** Blank arguments mean none. */
const argumentTexts = [
  "{}",
  "",
  '{"city":"Köln","n":[1,{"x":null}]}',
  '{"query":"{}"}',
  '{ "a" : "\\ud83c\\udf89" }',
] as const;
/** What a model writes for tools whose arguments are not free: anything else of it is not kept. */
const argumentsByTool: Readonly<Record<string, readonly string[]>> = {
  exec: ['{"input":"ls -la"}', '{"input":""}', '{"input":"a\\n\\"b\\" \\u00e9 \\ud83c\\udf89 🎉"}'],
  notes__write: ['{"input":"# x"}', ' { "input" : "y\\\\" } '],
  local_shell: ['{"command":["ls","-l"]}', '{"command":["ls"],"workdir":"/tmp","timeout_ms":5}'],
};

function makeEvents(client: Protocol, random: Random): ChatEvent[] {
  const events: ChatEvent[] = [];
  if (random.chance(0.8)) {
    const start: ChatEvent = { type: "start", id: "up-1", model: "up-model" };
    events.push(random.chance(0.4) ? { ...start, usage: makeUsage(random) } : start);
  }
  const open: { call: number; rest: string }[] = [];
  let calls = 0;
  let isReasoning = false;
  const endReasoning = () => {
    if (isReasoning)
      events.push(
        random.chance(0.6) ? { type: "reasoning-end", replay: random.pick(replays) } : { type: "reasoning-end" },
      );
    isReasoning = false;
  };
  const feed = (at: number, length: number) => {
    const call = open[at];
    if (call === undefined || call.rest === "") return;
    events.push({ type: "tool-delta", call: call.call, json: call.rest.slice(0, length) });
    call.rest = call.rest.slice(length);
  };
  for (let step = random.below(20); step > 0; step--) {
    switch (random.below(9)) {
      case 0:
      case 1:
        endReasoning();
        for (let more = random.below(3); more >= 0; more--)
          events.push({ type: "text-delta", text: random.pick(texts) });
        break;
      case 2:
        endReasoning();
        events.push(
          random.pick([{ type: "text-end" }, { type: "opaque" }, { type: "refusal-delta", text: "No." }] as const),
        );
        break;
      case 3:
        isReasoning = true;
        events.push({ type: "reasoning-delta", text: random.pick(texts) });
        break;
      case 4:
        // Redacted reasoning has no text of its own.
        if (!isReasoning) events.push({ type: "reasoning-end", replay: random.pick(replays) });
        endReasoning();
        break;
      case 5: {
        endReasoning();
        const call = calls++;
        const id = random.chance(0.1) ? `call.${"9".repeat(70)}-${call}` : `call_${call}`;
        const name = random.chance(0.2) ? "undeclared" : random.pick(clientTools[client].map((tool) => tool.name));
        events.push({ type: "tool-start", call, id, name });
        open.push({ call, rest: random.pick(argumentsByTool[name] ?? argumentTexts) });
        break;
      }
      case 6:
      case 7:
        endReasoning();
        if (open.length > 0) feed(random.below(open.length), 1 + random.below(8));
        break;
      default:
        if (isReasoning) break;
        if (random.chance(0.3)) events.push({ type: "usage", usage: makeUsage(random) });
        else if (open.length > 0) {
          const at = random.below(open.length);
          feed(at, 1000);
          const [ended] = open.splice(at, 1);
          if (ended !== undefined) events.push({ type: "tool-end", call: ended.call });
        }
    }
  }
  if (random.chance(0.1)) {
    events.push({ type: "error", error: { kind: random.pick(["reported", "incomplete"] as const), message: "gone" } });
    return events;
  }
  endReasoning();
  for (const [at, { call }] of open.entries()) {
    feed(at, 1000);
    events.push({ type: "tool-end", call });
  }
  const reasons: readonly FinishReason[] =
    calls > 0
      ? ["tool-calls", "tool-calls", "length", "content-filter"]
      : ["stop", "stop", "stop-sequence", "length", "context-window", "content-filter", "pause"];
  const finish: ChatEvent = { type: "finish", reason: random.pick(reasons) };
  events.push(random.chance(0.7) ? { ...finish, usage: makeUsage(random) } : finish);
  return events;
}

function makeUsage(random: Random): Usage {
  const output = random.below(500);
  return {
    input: random.below(9000),
    cacheRead: random.below(3) * 500,
    cacheWrite: random.below(2) * 300,
    output,
    reasoning: random.below(output + 1),
  };
}

/** An event together with what cannot stand without it: a call goes as a whole. */
function withoutEvent(events: readonly ChatEvent[], at: number): ChatEvent[] {
  const removed = events[at];
  if (removed?.type !== "tool-start") return events.toSpliced(at, 1);
  return events.flatMap((event): ChatEvent[] => {
    if (!("call" in event)) return [event];
    if (event.call === removed.call) return [];
    return [event.call > removed.call ? { ...event, call: event.call - 1 } : event];
  });
}

const stops: Record<Protocol, Record<FinishReason, string>> = {
  messages: {
    stop: "end_turn",
    "stop-sequence": "stop_sequence",
    length: "max_tokens",
    "context-window": "model_context_window_exceeded",
    "tool-calls": "tool_use",
    "content-filter": "refusal",
    pause: "pause_turn",
  },
  chat: {
    stop: "stop",
    "stop-sequence": "stop",
    length: "length",
    "context-window": "length",
    "tool-calls": "tool_calls",
    "content-filter": "content_filter",
    pause: "stop",
  },
  responses: {
    stop: "completed",
    "stop-sequence": "completed",
    length: "max_output_tokens",
    "context-window": "max_output_tokens",
    "tool-calls": "completed",
    "content-filter": "content_filter",
    pause: "completed",
  },
};

function check({ client, events, opensEarly }: SequenceInput): string[] {
  const illegal = checkEvents(events);
  if (illegal.length > 0) throw new Error(`the generator made an illegal order: ${illegal.join("; ")}`);
  const includeUsage = events.some((event) => "usage" in event && event.usage !== undefined);
  const request = clientRequest(client, { includeUsage });
  const { messages, report, violations } = replyTo(client, events, request, opensEarly);
  const broken = [...violations];
  const demand = (holds: boolean, rule: string) => {
    if (!holds) broken.push(`to ${client}: ${rule}`);
  };
  const last = events.at(-1);
  if (last?.type !== "finish") return broken;

  const said = readMeaning(events);
  const isRefusal = client === "messages" && last.reason === "stop" && said.hasRefusal;
  const stop = isRefusal ? "refusal" : stops[client][last.reason];
  demand(report.stop === stop, `stop reason ${report.stop} instead of ${stop}`);
  demand(withoutBreaks(report.text) === said.text, "the text the client sees is not what was said");
  demand(withoutBreaks(report.reasoning) === said.reasoning, "the reasoning the client sees is not what was thought");
  demand(report.calls.length === said.calls.length, `${report.calls.length} calls instead of ${said.calls.length}`);

  // Back through the decoder of the same protocol, as behind a second gateway.
  const again = decode(client, messages);
  for (const rule of checkEvents(again)) demand(false, `decoded again: ${rule}`);
  const understood = readMeaning(again);
  demand(understood.text === said.text, "decoded again: the text differs");
  demand(understood.reasoning === said.reasoning, "decoded again: the reasoning differs");
  // A Chat stream has custom calls of its own form, which no upstream is ever asked for.
  const custom = new Set<string>(client === "chat" ? ["exec"] : []);
  const expected = said.calls.filter((call) => !custom.has(call.name));
  demand(Bun.deepEquals(sortById(understood.calls), sortById(expected)), "decoded again: the calls differ");
  if (said.usage !== undefined) {
    demand(Bun.deepEquals(understood.usage, said.usage), "decoded again: the usage differs");
  }
  if (client !== "chat") {
    demand(Bun.deepEquals(understood.replays, said.replays), "decoded again: the replay values differ");
  }
  return broken;
}

function decode(client: Protocol, messages: readonly SseMessage[]): ChatEvent[] {
  const decoder = codecs[client].streamDecoder({ quirks: plainQuirks, toolNames: new Map() });
  const reader = new SseReader();
  const read = [...reader.push(Buffer.from(messages.map(renderSse).join(""))), ...reader.end()];
  return [...read.flatMap((message) => decoder.push(message)), ...decoder.end()];
}

interface Meaning {
  text: string;
  reasoning: string;
  hasRefusal: boolean;
  replays: Replay[];
  calls: { id: string; name: string; arguments: Json }[];
  usage: Usage | undefined;
}

function readMeaning(events: readonly ChatEvent[]): Meaning {
  const meaning: Meaning = {
    text: spokenText(events),
    reasoning: "",
    hasRefusal: events.some((event) => event.type === "refusal-delta"),
    replays: [],
    calls: [],
    usage: undefined,
  };
  const written = new Map<number, string>();
  for (const event of events) {
    if (event.type === "tool-delta") written.set(event.call, (written.get(event.call) ?? "") + event.json);
  }
  for (const event of events) {
    if (event.type === "reasoning-delta") meaning.reasoning += withoutBreaks(event.text);
    if (event.type === "reasoning-end" && event.replay !== undefined) meaning.replays.push(unwrapped(event.replay));
    if (event.type === "tool-start") {
      const given = readArguments(written.get(event.call) ?? "");
      meaning.calls.push({ id: event.id, name: event.name, arguments: given });
    }
    if ((event.type === "start" || event.type === "usage" || event.type === "finish") && event.usage !== undefined) {
      const { costUsd: _, ...usage } = event.usage;
      meaning.usage = usage;
    }
  }
  return meaning;
}

function unwrapped(replay: Replay): Replay {
  const value = replay.kind === "anthropic" ? replay.signature : replay.kind === "openai" ? replay.encrypted : "";
  return unwrapReplay(value) ?? replay;
}

function readArguments(text: string): Json {
  return text.trim() === "" ? {} : (JSON.parse(text) as Json);
}

/** Calls that are only ever written whole take their place when they are. */
function sortById(calls: Meaning["calls"]): Meaning["calls"] {
  return calls.toSorted((one, other) => (one.id < other.id ? -1 : 1));
}
