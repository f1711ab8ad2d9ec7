/** Mutated requests through decoder, repair and every encoder. */

import type { ChatRequest, Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { ProtocolError, plainQuirks, type Quirks } from "../src/protocols/codec.ts";
import { codecs } from "../src/protocols/index.ts";
import { settleTurns } from "../src/protocols/turns.ts";
import { record } from "../test/support/grammar/report.ts";
import type { Kind } from "./kind.ts";
import { mutateJson } from "./mutate.ts";
import type { Random } from "./random.ts";
import { checkRequest } from "./request-rules.ts";
import { requests } from "./seeds.ts";

const protocols = ["messages", "chat", "responses"] as const satisfies readonly Protocol[];

export interface RequestInput {
  client: Protocol;
  body: Json;
  quirks: Partial<Quirks>;
  maxOutputTokens?: number;
}

export const requestKind: Kind<RequestInput> = {
  name: "requests",
  make(random) {
    const client = random.pick(protocols);
    const body = mutateJson(random.pick(requests[client]), random, random.below(7), requests[client]);
    const input: RequestInput = { client, body, quirks: randomQuirks(random) };
    return random.chance(0.2) ? { ...input, maxOutputTokens: random.pick([1, 1500, 64_000]) } : input;
  },
  check,
  *smaller(input) {
    for (const body of withLess(input.body)) yield { ...input, body };
    for (const name of Object.keys(input.quirks)) {
      yield {
        ...input,
        quirks: Object.fromEntries(Object.entries(input.quirks).filter(([other]) => other !== name)),
      };
    }
  },
  show: (input) => JSON.stringify(input),
};

const switches = [
  "developerRole",
  "systemFirstOnly",
  "cacheControl",
  "toolImages",
  "streamOptions",
  "promptCacheKey",
  "verbosity",
  "sampling",
  "midSystem",
  "outputFormat",
  "webSearch",
  "autoCache",
] as const satisfies readonly (keyof Quirks)[];

function randomQuirks(random: Random): Partial<Quirks> {
  const quirks: Partial<Quirks> = {};
  for (const name of switches) if (random.chance(0.25)) quirks[name] = !plainQuirks[name];
  if (random.chance(0.4)) quirks.thinkingMode = random.pick(["budget", "none"] as const);
  if (random.chance(0.3)) quirks.maxTokensField = "max_completion_tokens";
  if (random.chance(0.3)) {
    quirks.reasoningParam = random.pick(["reasoning", "thinking", "enable_thinking", "none"] as const);
  }
  if (random.chance(0.3)) quirks.efforts = ["low", "high"];
  return quirks;
}

function check({ client, body, quirks: changed, maxOutputTokens }: RequestInput): string[] {
  let request: ChatRequest;
  try {
    request = codecs[client].decodeRequest(body);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    return cause.message === "" ? ["a ProtocolError without a message"] : [];
  }
  request.turns = settleTurns(request.turns);
  const broken = Bun.deepEquals(settleTurns(request.turns), request.turns) ? [] : ["settled turns settle differently"];
  const quirks = { ...plainQuirks, ...changed };
  const target = maxOutputTokens === undefined ? {} : { maxOutputTokens };
  for (const upstream of protocols) {
    const before = JSON.stringify(request);
    let encoded: JsonObject;
    try {
      encoded = codecs[upstream].encodeRequest(request, { model: "up-model", quirks, ...target }).body;
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause;
      continue;
    }
    const sent = JSON.parse(JSON.stringify(encoded)) as JsonObject;
    for (const rule of checkRequest(upstream, sent, quirks)) broken.push(`to ${upstream}: ${rule}`);
    for (const rule of readAgain(upstream, sent, quirks)) broken.push(`to ${upstream}: ${rule}`);
    // The next candidate of a cascade is given the same request.
    if (JSON.stringify(request) !== before) broken.push(`to ${upstream}: the encoder changed the request`);
  }
  return broken;
}

/** A second gateway behind the first: what we send must be a request that we would take, and mean the same. */
function readAgain(upstream: Protocol, sent: JsonObject, quirks: Quirks): string[] {
  const codec = codecs[upstream];
  // Nothing was said at all: the client's own mistake, of which the upstream may tell it.
  const said = sent["messages"] ?? sent["input"];
  if (Array.isArray(said) && said.length === 0) return [];
  let request: ChatRequest;
  try {
    request = codec.decodeRequest(sent);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    return [`the body is refused by its own protocol: ${cause.message}`];
  }
  request.turns = settleTurns(request.turns);
  const again = JSON.parse(
    JSON.stringify(codec.encodeRequest(request, { model: "up-model", quirks }).body),
  ) as JsonObject;
  const broken: string[] = [];
  // Instructions that nothing precedes but what was left out are leading ones the second time.
  if (record(Array.isArray(sent["input"]) ? sent["input"][0] : undefined)["role"] === "developer") return broken;
  for (const field of ["messages", "input", "system", "instructions", "tools"]) {
    if (plain(again[field]) !== plain(sent[field])) broken.push(`sent on once more, ${field} change`);
  }
  return broken;
}

/** All that is said, in order, however it is spread over messages, items and blocks. */
function plain(value: Json | undefined): string {
  if (typeof value === "string") return value.replaceAll("\n", "");
  if (typeof value !== "object" || value === null) return "";
  return Object.entries(value)
    .map(([key, member]) => (key === "type" || key === "role" ? "" : plain(member ?? null)))
    .join("");
}

/** The value with one member or element left out, the outermost first, and with long texts cut. */
export function* withLess(value: Json): Generator<Json> {
  if (typeof value === "string" && value.length > 8) yield value.slice(0, Math.floor(value.length / 2));
  if (typeof value !== "object" || value === null) return;
  const keys = Object.keys(value);
  for (const key of keys.toReversed()) yield without(value, key);
  for (const key of keys) {
    const member = Array.isArray(value) ? value[Number(key)] : value[key];
    for (const less of withLess(member ?? null)) {
      if (Array.isArray(value)) yield value.with(Number(key), less);
      else yield { ...value, [key]: less };
    }
  }
}

function without(value: JsonObject | Json[], key: string): Json {
  if (Array.isArray(value)) return value.toSpliced(Number(key), 1);
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
}
