/** Damage of the kinds that real peers do: to JSON, to a stream's events, and to its bytes. */

import type { Json, JsonObject } from "../src/protocols/chat.ts";
import type { Random } from "./random.ts";

/** Values that have no place anywhere, and values that have one elsewhere. */
const strange: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1e9,
  0.5,
  "",
  " ",
  "x",
  "\n",
  "{}",
  '{"a":1}',
  "[1]",
  '{"city":"Kö',
  "call_1",
  "call.1",
  "a b",
  `long_${"x".repeat(200)}`,
  "clutch1.broken",
  "𝄞 é 中",
  "\ud83c",
  [],
  {},
  [null],
  [[]],
  { type: "text", text: "" },
  { type: "text", text: "more" },
];

/** Keys and words of all three protocols: a value that is right elsewhere is the likeliest wrong one. */
const words: readonly string[] = [
  "text",
  "thinking",
  "redacted_thinking",
  "tool_use",
  "tool_result",
  "server_tool_use",
  "image",
  "document",
  "user",
  "assistant",
  "system",
  "developer",
  "tool",
  "function",
  "custom",
  "message",
  "reasoning",
  "function_call",
  "function_call_output",
  "custom_tool_call",
  "custom_tool_call_output",
  "local_shell_call",
  "tool_search_call",
  "namespace",
  "web_search",
  "input_text",
  "output_text",
  "refusal",
  "auto",
  "any",
  "none",
  "required",
  "stop",
  "length",
  "tool_calls",
  "content_filter",
  "end_turn",
  "max_tokens",
  "error",
  "completed",
  "incomplete",
  "failed",
  "in_progress",
  "text_delta",
  "thinking_delta",
  "input_json_delta",
  "signature_delta",
  "message_start",
  "message_delta",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "response.output_item.added",
  "response.output_item.done",
  "response.output_text.delta",
  "response.function_call_arguments.delta",
  "response.reasoning_summary_text.delta",
  "toolu_1",
  "call_1",
  "get_weather",
];

interface Place {
  holder: JsonObject | Json[];
  key: string;
}

function placesOf(value: Json, found: Place[] = []): Place[] {
  if (typeof value !== "object" || value === null) return found;
  for (const key of Object.keys(value)) {
    found.push({ holder: value, key });
    placesOf(read({ holder: value, key }) ?? null, found);
  }
  return found;
}

function read({ holder, key }: Place): Json | undefined {
  return Array.isArray(holder) ? holder[Number(key)] : holder[key];
}

function write({ holder, key }: Place, value: Json): void {
  if (Array.isArray(holder)) holder[Number(key)] = value;
  else holder[key] = value;
}

/** A changed copy. @param donors values of the same kind, whose parts may be transplanted */
export function mutateJson(source: Json, random: Random, changes: number, donors: readonly Json[] = []): Json {
  const mutated = structuredClone(source);
  for (let change = 0; change < changes; change++) mutateOnce(mutated, random, donors);
  return mutated;
}

function mutateOnce(value: Json, random: Random, donors: readonly Json[]): void {
  const places = placesOf(value);
  if (places.length === 0) return;
  const place = random.pick(places);
  const { holder, key } = place;
  const here = read(place) ?? null;
  const array = Array.isArray(here) ? here : Array.isArray(holder) ? holder : undefined;
  switch (random.below(9)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
      return;
    case 1:
      write(place, structuredClone(random.pick(strange)));
      return;
    case 2:
      if (typeof here === "string") write(place, random.pick(words));
      else if (typeof here === "number") write(place, random.pick([-1, 0, 1, 2, 7, 1e9, 1.5]));
      return;
    case 3:
      if (array !== undefined && array.length > 0) {
        array.splice(random.below(array.length + 1), 0, structuredClone(random.pick(array)));
      }
      return;
    case 4:
      if (array !== undefined && array.length > 1) {
        const [moved] = array.splice(random.below(array.length), 1);
        array.splice(random.below(array.length + 1), 0, moved ?? null);
      }
      return;
    case 5:
      write(place, structuredClone(read(random.pick(places)) ?? null));
      return;
    case 6: {
      // An id or a name becomes another one of the same text: pairs break and collide.
      const other = read(random.pick(places.filter((candidate) => candidate.key === key)));
      if (typeof here === "string" && typeof other === "string") write(place, other);
      return;
    }
    case 7: {
      if (donors.length === 0) return;
      const parts = placesOf(random.pick(donors)).filter((donor) => Array.isArray(holder) || donor.key === key);
      if (parts.length === 0) return;
      const part = structuredClone(read(random.pick(parts)) ?? null);
      if (Array.isArray(holder)) holder.splice(Number(key), 0, part);
      else write(place, part);
      return;
    }
    default:
      if (typeof here === "string") write(place, here.slice(0, random.below(here.length + 1)));
      else if (array !== undefined) array.length = random.below(array.length + 1);
  }
}

/** One event of a stream as its lines, without the blank line behind it. */
export type RawEvent = string;

export function splitEvents(stream: string): RawEvent[] {
  return stream.split(/\r?\n\r?\n/).filter((event) => event !== "");
}

export function joinEvents(events: readonly RawEvent[]): string {
  return events.map((event) => `${event}\n\n`).join("");
}

/** Loses, repeats, moves and changes events, borrows some of another stream, and cuts the whole short. */
export function mutateEvents(source: readonly RawEvent[], random: Random, donor: readonly RawEvent[]): RawEvent[] {
  const events = [...source];
  for (let change = random.below(4); change >= 0; change--) {
    const at = random.below(events.length + 1);
    const here = events[at];
    switch (random.below(9)) {
      case 0:
        events.splice(at, 1 + random.below(3));
        break;
      case 1:
        if (here !== undefined) events.splice(random.below(events.length + 1), 0, here);
        break;
      case 2: {
        const [moved] = events.splice(at, 1);
        if (moved !== undefined) events.splice(random.below(events.length + 1), 0, moved);
        break;
      }
      case 3:
      case 4:
      case 5:
        if (here !== undefined) events[at] = mutateEvent(here, random);
        break;
      case 6:
        if (donor.length > 0) events.splice(at, 0, random.pick(donor));
        break;
      case 7:
        events.length = at;
        break;
      default:
        events.splice(at, 0, random.pick(noise));
    }
  }
  return events;
}

const noise: readonly string[] = [
  ": keep-alive",
  ": OPENROUTER PROCESSING",
  "event: ping\ndata: {}",
  "event: codex.rate_limits\ndata: {}",
  "data:",
  "data: [DONE]",
  "data: null",
  "data: []",
  "data: 1",
  'data: {"error":{"message":"overloaded","code":529}}',
  'data: {"error":null}',
  "data: <html>bad gateway</html>",
  'data: {"type":"error","message":"quota"}',
  "id: 7\nretry: 1000",
  'data: {"choices":[]}',
  'data: {"choices":[{"index":0,"delta":{"content":"[DONE]"},"finish_reason":null}]}',
];

function mutateEvent(event: RawEvent, random: Random): RawEvent {
  const lines = event.split(/\r?\n/);
  const at = lines.findIndex((line) => line.startsWith("data: "));
  const line = lines[at];
  if (line === undefined || random.chance(0.1)) return lines.slice(random.below(2)).join("\n");
  const data = line.slice("data: ".length);
  let value: Json;
  try {
    value = JSON.parse(data) as Json;
  } catch {
    return event;
  }
  if (random.chance(0.1)) lines[at] = `data: ${data.slice(0, random.below(data.length))}`;
  else lines[at] = `data: ${JSON.stringify(mutateJson(value, random, 1 + random.below(2)))}`;
  return lines.join("\n");
}

/** Loses, changes or repeats single bytes. */
export function mutateBytes(source: Uint8Array, random: Random): Uint8Array {
  const bytes = Buffer.from(source);
  for (let change = random.below(3); change > 0; change--) {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
  }
  return random.chance(0.5) ? bytes : bytes.subarray(0, random.below(bytes.length + 1));
}

/** The same bytes in pieces: single ones, or of random length. */
export function slice(bytes: Uint8Array, random: Random): Uint8Array[] {
  const longest = random.pick([1, 7, 97, 4096]);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(longest);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}
