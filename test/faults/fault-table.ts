/**
 * THE table of what an upstream can do wrong, and what must come of it: written from the design, to be read by people. A
 * row is one fault at one moment; it is played to every client, whole and streamed, by an upstream of every protocol, once
 * with another candidate behind it and once alone.
 */

import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { emptyStreamed, emptyWhole, errorEvent, pieces, whole } from "../support/answers.ts";
import { html, json, type Reply, reset, silent, sse, text } from "../support/fake-upstream.ts";
import { type RichAnswer, type RichCall, richStream, richWhole } from "../support/rich-answers.ts";

export type Moment = "before the headers" | "in the headers" | "before content" | "after the commit";

/** What a client sees. */
export type Seen =
  /** A good answer, with nothing of the fault in it. */
  | "next"
  /** What the upstream said, since it is the best there is. */
  | "as it is"
  /** An HTTP error of its own protocol. */
  | keyof typeof clientErrors
  /** What had come so far, then one error event of its own protocol. */
  | "broken off"
  /** Nothing yet: nobody else could be asked, and a slow model is no dead one. Not played. */
  | "waits";

/** Status and error type, as each client's protocol has them. */
export const clientErrors = {
  "bad gateway": { messages: "502 api_error", chat: "502 server_error", responses: "502 server_error" },
  "too slow": { messages: "504 timeout_error", chat: "504 timeout", responses: "504 timeout" },
  overloaded: { messages: "529 overloaded_error", chat: "503 server_error", responses: "503 server_error" },
  "slow down": { messages: "429 rate_limit_error", chat: "429 rate_limit_error", responses: "429 rate_limit_error" },
  "bad key": {
    messages: "401 authentication_error",
    chat: "401 authentication_error",
    responses: "401 authentication_error",
  },
  "no money": { messages: "402 billing_error", chat: "402 insufficient_quota", responses: "402 insufficient_quota" },
  forbidden: { messages: "403 permission_error", chat: "403 permission_error", responses: "403 permission_error" },
  "no such model": {
    messages: "404 not_found_error",
    chat: "404 invalid_request_error",
    responses: "404 invalid_request_error",
  },
  "too long": {
    messages: "400 invalid_request_error",
    chat: "400 invalid_request_error",
    responses: "400 invalid_request_error",
  },
  "too large": {
    messages: "413 request_too_large",
    chat: "413 invalid_request_error",
    responses: "413 invalid_request_error",
  },
  "your mistake": {
    messages: "400 invalid_request_error",
    chat: "400 invalid_request_error",
    responses: "400 invalid_request_error",
  },
} as const satisfies Record<string, Record<Protocol, string>>;

export type Played = Reply | "refuse" | "no key";

export interface Fault {
  moment: Moment;
  name: string;
  /**
   * What the upstream does; undefined where the fault has no such form, "refuse" where nobody even listens, and "no key" where
   * the config has none for it.
   * @param heard resolves when the client has read the first word
   */
  play(upstream: Protocol, isStream: boolean, heard: Promise<void>): Played | undefined;
  /** Kind and scope on the attempt's row; null for one that has served. */
  ledger: string | null;
  /** What is held against whom, after one of it. */
  held: string;
  another: Seen;
  alone: Seen;
  /** In place of "hello": tools, of which one must be called. */
  forcesTool?: true;
  /** Where the usual limits of these tests would hide the fault (ms). */
  timeouts?: { first_token_ms?: number; idle_ms?: number; patience_ms?: number };
}

const said = (message: string, more: JsonObject = {}): JsonObject => ({ error: { message, ...more } });

/** The same whichever protocol and form was asked for. */
const always = (reply: Played) => () => reply;

/** Of streams alone. */
const streams =
  (play: (upstream: Protocol, heard: Promise<void>) => Reply): Fault["play"] =>
  (upstream, isStream, heard) =>
    isStream ? play(upstream, heard) : undefined;

/** Of whole answers alone. */
const wholes =
  (play: (upstream: Protocol) => Reply): Fault["play"] =>
  (upstream, isStream) =>
    isStream ? undefined : play(upstream);

const both =
  (stream: (upstream: Protocol) => Reply, one: (upstream: Protocol) => Reply): Fault["play"] =>
  (upstream, isStream) =>
    isStream ? stream(upstream) : one(upstream);

/** The first word is with the client; then this. */
const afterFirstWord = (rest: (upstream: Protocol) => string, end: Reply["end"]) =>
  streams((upstream, heard) => {
    const { opening, words } = pieces[upstream];
    return sse([opening + words(firstWord), heard, rest(upstream)], end);
  });

export const firstWord = "Grüße ";

const rich = (answer: RichAnswer) =>
  both(
    (upstream) => sse([richStream(upstream, answer)]),
    (upstream) => json(richWhole(upstream, answer)),
  );

const short = { first_token_ms: 150, idle_ms: 150 };
const nothing = () => "";
const half = (upstream: Protocol) => pieces[upstream].words("never whole").slice(0, -12);
const wholeText = (upstream: Protocol) => JSON.stringify(whole[upstream]);
const jsonHead = { status: 200, headers: { "content-type": "application/json" } };

export const faults: readonly Fault[] = [
  // ---- before the headers
  {
    moment: "before the headers",
    name: "nobody listens",
    play: always("refuse"),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before the headers",
    name: "no key in the config",
    play: always("no key"),
    ledger: "no-key of key",
    held: "nothing",
    another: "next",
    alone: "bad key",
  },
  {
    moment: "before the headers",
    name: "reset",
    play: always(reset),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before the headers",
    name: "closed without a word",
    play: always({ body: [], end: "cut" }),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before the headers",
    name: "silence",
    play: always(silent),
    timeouts: short,
    ledger: "timeout of model",
    held: "model 1/3",
    another: "next",
    alone: "waits",
  },

  // ---- in the headers
  {
    moment: "in the headers",
    name: "401",
    play: always(json(said("Incorrect API key provided"), 401)),
    ledger: "auth of key",
    held: "key shut 60 s",
    another: "next",
    alone: "bad key",
  },
  {
    moment: "in the headers",
    name: "402",
    play: always(json(said("Insufficient credits"), 402)),
    ledger: "billing of account",
    held: "account shut 300 s",
    another: "next",
    alone: "no money",
  },
  {
    moment: "in the headers",
    name: "403",
    play: always(json(said("Your key may not use this model"), 403)),
    ledger: "permission of key",
    held: "key shut 60 s",
    another: "next",
    alone: "forbidden",
  },
  {
    moment: "in the headers",
    name: "404",
    play: always(json(said("No endpoints found for this model"), 404)),
    ledger: "not-found of model",
    held: "model 1/3",
    another: "next",
    alone: "no such model",
  },
  {
    moment: "in the headers",
    name: "408",
    play: always(json(said("Request timeout"), 408)),
    ledger: "timeout of model",
    held: "model 1/3",
    another: "next",
    alone: "too slow",
  },
  {
    moment: "in the headers",
    name: "429",
    play: always(json(said("Too many requests"), 429)),
    ledger: "rate-limit of model",
    held: "model shut 1 s",
    another: "next",
    alone: "slow down",
  },
  {
    moment: "in the headers",
    name: "429, Retry-After: 30",
    play: always(json(said("Too many requests"), 429, { "retry-after": "30" })),
    ledger: "rate-limit of model",
    held: "model shut 30 s",
    another: "next",
    alone: "slow down",
  },
  {
    moment: "in the headers",
    name: "429, reset in 90 s",
    play: always(json(said("Too many requests"), 429, { "x-ratelimit-reset-requests": "1m30s" })),
    ledger: "rate-limit of model",
    held: "model shut 90 s",
    another: "next",
    alone: "slow down",
  },
  {
    moment: "in the headers",
    name: "429, the day's quota",
    play: always(json(said("Limit 1000 requests per day reached"), 429, { "retry-after": "7200" })),
    ledger: "quota of model",
    held: "model shut 7200 s",
    another: "next",
    alone: "slow down",
  },
  {
    moment: "in the headers",
    name: "429, ramp-up",
    play: always(json(said("Request rate increased too quickly. To ensure system stability, slow down"), 429)),
    ledger: "ramp-up of provider",
    held: "provider shut 15 s",
    another: "next",
    alone: "slow down",
  },
  {
    moment: "in the headers",
    name: "413",
    play: always(json(said("Request entity too large"), 413)),
    ledger: "too-large of request",
    held: "nothing",
    another: "next",
    alone: "too large",
  },
  {
    moment: "in the headers",
    name: "400, not to its liking",
    play: always(json(said("The response was filtered", { code: "content_filter" }), 400)),
    ledger: "moderation of request",
    held: "nothing",
    another: "next",
    alone: "your mistake",
  },
  {
    moment: "in the headers",
    name: "500",
    play: always(text("oops", "text/plain", 500)),
    ledger: "upstream of model",
    held: "model 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "in the headers",
    name: "500, its body never ends",
    play: always({ head: { status: 500, headers: jsonHead.headers }, body: ["{"], end: "open" }),
    // a second is given to such a body
    timeouts: { patience_ms: 3000 },
    ledger: "upstream of model",
    held: "model 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "in the headers",
    name: "502 in HTML",
    play: always(text("<html>bad gateway</html>", "text/html", 502)),
    ledger: "upstream of model",
    held: "model 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "in the headers",
    name: "503",
    play: always(json(said("No capacity"), 503)),
    ledger: "overloaded of model",
    held: "model 1/3",
    another: "next",
    alone: "overloaded",
  },
  {
    moment: "in the headers",
    name: "504",
    play: always(json(said("Gateway timeout"), 504)),
    ledger: "timeout of model",
    held: "model 1/3",
    another: "next",
    alone: "too slow",
  },
  {
    moment: "in the headers",
    name: "529",
    play: always(json(said("Overloaded", { type: "overloaded_error" }), 529)),
    ledger: "overloaded of model",
    held: "model 1/3",
    another: "next",
    alone: "overloaded",
  },
  {
    moment: "in the headers",
    name: "a redirect",
    play: always(text("", "text/html", 302, { location: "http://127.0.0.1:1/" })),
    ledger: "upstream of model",
    held: "model 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "in the headers",
    name: "400, it does not fit",
    play: always(
      json(said("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens"), 400),
    ),
    ledger: "context-overflow of model",
    held: "nothing",
    another: "next",
    alone: "too long",
  },
  {
    moment: "in the headers",
    name: "400, the request is wrong",
    play: always(json(said("messages: roles must alternate"), 400)),
    ledger: "bad-request of request",
    held: "nothing",
    another: "your mistake",
    alone: "your mistake",
  },

  // ---- before content
  {
    moment: "before content",
    name: "an empty body",
    play: both(
      () => sse([]),
      () => text("", "application/json"),
    ),
    ledger: "empty of model",
    held: "model 0.5/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before content",
    name: "a proper answer that says nothing",
    play: both(
      (upstream) => sse([emptyStreamed[upstream]]),
      (upstream) => json(emptyWhole[upstream]),
    ),
    ledger: "empty of model",
    held: "model 0.5/3",
    another: "next",
    alone: "as it is",
  },
  {
    moment: "before content",
    name: "HTML with status 200",
    play: always(html),
    ledger: "malformed of model",
    held: "model 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before content",
    name: "garbage",
    play: both(
      () => sse(["data: {not json\n\n", "data: more\n\n"]),
      () => text('{"choices": [', "application/json"),
    ),
    ledger: "malformed of model",
    held: "model 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before content",
    name: "an error in a 200",
    play: both(
      (upstream) => sse([errorEvent[upstream]]),
      (upstream) => json(upstream === "messages" ? overloadedMessage : said("Overloaded", { code: 503 })),
    ),
    ledger: "overloaded of model",
    held: "model 1/3",
    another: "next",
    alone: "overloaded",
  },
  {
    moment: "before content",
    name: "an error after the opening",
    play: streams((upstream) => sse([pieces[upstream].opening, errorEvent[upstream]])),
    ledger: "overloaded of model",
    held: "model 1/3",
    another: "next",
    alone: "overloaded",
  },
  {
    moment: "before content",
    name: "cut after the opening",
    play: streams((upstream) => sse([pieces[upstream].opening], "cut")),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before content",
    name: "reset after a comment",
    play: streams(() => sse([": PROCESSING\n\n"], "reset")),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before content",
    name: "comments alone, then silence",
    play: streams(() => sse([": PROCESSING\n\n"], "open")),
    timeouts: short,
    ledger: "timeout of model",
    held: "model 1/3",
    another: "next",
    alone: "waits",
  },
  {
    moment: "before content",
    name: "silence after the opening",
    play: streams((upstream) => sse([pieces[upstream].opening], "open")),
    timeouts: short,
    ledger: "timeout of model",
    held: "model 1/3",
    another: "next",
    alone: "too slow",
  },
  {
    moment: "before content",
    name: "ended after the opening",
    play: streams((upstream) => sse([pieces[upstream].opening])),
    ledger: "empty of model",
    held: "model 0.5/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before content",
    name: "half a body, cut",
    play: wholes((upstream) => ({ head: jsonHead, body: [wholeText(upstream).slice(0, 40)], end: "cut" })),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before content",
    name: "half a body of a told length, cut",
    play: wholes((upstream) => ({ ...json(whole[upstream]), body: [wholeText(upstream).slice(0, 40)], end: "cut" })),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "next",
    alone: "bad gateway",
  },
  {
    moment: "before content",
    name: "half a body, then silence",
    play: wholes((upstream) => ({ head: jsonHead, body: [wholeText(upstream).slice(0, 40)], end: "open" })),
    timeouts: short,
    ledger: "timeout of model",
    held: "model 1/3",
    another: "next",
    alone: "too slow",
  },
  {
    moment: "before content",
    name: "words where a tool must be called",
    play: rich({ text: "I would rather talk." }),
    forcesTool: true,
    ledger: "no-tool-call of model",
    held: "model 0.5/3",
    another: "next",
    alone: "as it is",
  },
  {
    moment: "before content",
    name: "a call whose JSON is cut",
    play: wholes((upstream) => json(brokenCall(upstream))),
    ledger: "bad-tool-call of model",
    held: "model 0.5/3",
    another: "next",
    alone: "as it is",
  },

  // ---- after the commit
  {
    moment: "after the commit",
    name: "cut between events",
    play: afterFirstWord(nothing, "cut"),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "broken off",
    alone: "broken off",
  },
  {
    moment: "after the commit",
    name: "reset",
    play: afterFirstWord(nothing, "reset"),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "broken off",
    alone: "broken off",
  },
  {
    moment: "after the commit",
    name: "cut inside an event",
    play: afterFirstWord(half, "cut"),
    ledger: "network of provider",
    held: "provider 1/3",
    another: "broken off",
    alone: "broken off",
  },
  {
    moment: "after the commit",
    name: "ended without its last event",
    play: afterFirstWord(nothing, "complete"),
    ledger: "malformed of model",
    held: "model 1/3",
    another: "broken off",
    alone: "broken off",
  },
  {
    moment: "after the commit",
    name: "silence",
    play: afterFirstWord(nothing, "open"),
    timeouts: { first_token_ms: 2000, idle_ms: 150 },
    ledger: "timeout of model",
    held: "model 1/3",
    another: "broken off",
    alone: "broken off",
  },
  {
    moment: "after the commit",
    name: "an error event",
    play: afterFirstWord((upstream) => errorEvent[upstream], "complete"),
    ledger: "overloaded of model",
    held: "model 1/3",
    another: "broken off",
    alone: "broken off",
  },
  {
    moment: "after the commit",
    name: "garbage",
    play: afterFirstWord(() => "data: <html>\n\ndata: <body>\n\n", "complete"),
    ledger: "malformed of model",
    held: "model 1/3",
    another: "broken off",
    alone: "broken off",
  },
  {
    moment: "after the commit",
    name: "cut at the output limit",
    play: rich({ text: "As far as it goes", stop: "length" }),
    ledger: null,
    held: "model 0.5/3",
    another: "as it is",
    alone: "as it is",
  },
  {
    moment: "after the commit",
    name: "a call whose JSON is cut",
    play: streams((upstream) => sse([richStream(upstream, { calls: brokenCalls })])),
    ledger: null,
    held: "model 0.5/3",
    another: "as it is",
    alone: "as it is",
  },
];

const overloadedMessage: JsonObject = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };

const brokenCalls = [{ id: "call_1", name: "look", arguments: '{"at":"he' }];

/** Messages has an object for arguments, which cannot be cut: there it is a text, as some servers send it. */
function brokenCall(upstream: Protocol): JsonObject {
  if (upstream !== "messages") return richWhole(upstream, { calls: brokenCalls });
  const { arguments: input, ...named } = brokenCalls[0] as RichCall;
  return { ...whole.messages, content: [{ type: "tool_use", ...named, input }], stop_reason: "tool_use" };
}
