/** What the official SDKs throw when the gateway or its upstream fails: their users decide by these classes. */

import { describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import type { Protocol } from "../../src/protocols/chat.ts";
import { errorEvent, pieces, protocols } from "../support/answers.ts";
import { json, type Reply, sse } from "../support/fake-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";
import { readFailedResponse, sdkClients } from "./clients.ts";

const pairs = protocols.flatMap((client) => protocols.map((upstream): [Protocol, Protocol] => [client, upstream]));

/** Upstream status and message, then what each vendor's SDK throws. */
const refusals = [
  [400, "no such field: frobnicate", 400, Anthropic.BadRequestError, 400, OpenAI.BadRequestError],
  [401, "bad key", 401, Anthropic.AuthenticationError, 401, OpenAI.AuthenticationError],
  [402, "pay first", 402, Anthropic.APIError, 402, OpenAI.APIError],
  [403, "not yours", 403, Anthropic.PermissionDeniedError, 403, OpenAI.PermissionDeniedError],
  [404, "no such model", 404, Anthropic.NotFoundError, 404, OpenAI.NotFoundError],
  [429, "slow down", 429, Anthropic.RateLimitError, 429, OpenAI.RateLimitError],
  [500, "it broke", 502, Anthropic.InternalServerError, 502, OpenAI.InternalServerError],
  [503, "overloaded", 529, Anthropic.InternalServerError, 503, OpenAI.InternalServerError],
] as const;

async function thrownBy(run: Promise<unknown>): Promise<unknown> {
  try {
    await run;
  } catch (cause) {
    return cause;
  }
  throw new Error("nothing was thrown");
}

describe.each(pairs)("the SDK of %s on a %s upstream", (client, upstream) => {
  const isAnthropic = client === "messages";

  test.each(refusals)("throws for an upstream's %i (%s)", async (status, message, ours, TheirClass, oai, OpenClass) => {
    for (const isStream of [true, false]) {
      // Within its patience the gateway would wait for a rate limit to pass.
      const setup = { replies: { bad: json({ error: { message } }, status) }, timeouts: { patience_ms: 100 } };
      await using gateway = await startTestGateway(setup);
      const thrown = await thrownBy(sdkClients[client](gateway.url, `${upstream}:bad`, isStream));
      expect(thrown).toBeInstanceOf(isAnthropic ? TheirClass : OpenClass);
      expect(thrown).toMatchObject({ status: isAnthropic ? ours : oai });
      expect(String(thrown)).toContain(message);
    }
  });

  test("throws a bad request for a context that does not fit, in the words its users look for", async () => {
    const message = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.";
    const reply = json({ error: { message, code: "context_length_exceeded" } }, 400);
    await using gateway = await startTestGateway({ replies: { small: reply } });
    const thrown = await thrownBy(sdkClients[client](gateway.url, `${upstream}:small`, true));
    expect(thrown).toBeInstanceOf(isAnthropic ? Anthropic.BadRequestError : OpenAI.BadRequestError);
    if (isAnthropic) expect(String(thrown)).toContain("prompt is too long: 9000 tokens > 8192 maximum");
    else expect(thrown).toMatchObject({ code: "context_length_exceeded" });
  });

  const { opening, words } = pieces[upstream];
  const begun = opening + words("Grüße ");
  /** `read` resolves when the client has the head of its answer: what was sent before cannot be lost any more. */
  const breaks: readonly [string, (read: Promise<void>) => Reply, RegExp][] = [
    ["an error event", (read) => sse([begun, read, errorEvent[upstream]]), /Overloaded/],
    ["a lost connection", (read) => sse([begun, read], "cut"), /connection|ECONNRESET|closed|socket/i],
    ["an end without a terminal event", (read) => sse([begun, read]), /early|connection lost/],
  ];

  test.each(breaks)("does not take %s in mid-stream for an answer", async (_name, reply, expected) => {
    const { promise: read, resolve: onAnswer } = Promise.withResolvers<void>();
    await using gateway = await startTestGateway({ replies: { broken: reply(read) } });
    const model = `${upstream}:broken`;
    if (client === "responses") {
      const { types, message } = await readFailedResponse(gateway.url, model, onAnswer);
      expect(types.at(-1)).toBe("response.failed");
      expect(types).not.toContain("response.completed");
      expect(message).toMatch(expected);
      return;
    }
    const thrown = await thrownBy(sdkClients[client](gateway.url, model, true, onAnswer));
    expect(thrown).toBeInstanceOf(isAnthropic ? Anthropic.APIError : OpenAI.APIError);
    expect(String(thrown)).toMatch(expected);
  });
});

test("a request that the client's own API would refuse is a bad request before any upstream is asked", async () => {
  await using gateway = await startTestGateway({ replies: {} });
  const options = { apiKey: "sk-client", maxRetries: 0 };
  const { messages } = new Anthropic({ ...options, baseURL: gateway.url });
  const { chat, responses } = new OpenAI({ ...options, baseURL: `${gateway.url}/v1` });
  const asked = { model: "responses:any", max_tokens: 0, messages: [{ role: "user" as const, content: "hi" }] };
  expect(await thrownBy(messages.create({ ...asked, model: "chat:any" }))).toBeInstanceOf(Anthropic.BadRequestError);
  const refused = await thrownBy(chat.completions.create({ model: "messages:any", messages: [], n: 2 }));
  expect(refused).toBeInstanceOf(OpenAI.BadRequestError);
  const stored = { model: "chat:any", input: "hi", previous_response_id: "resp_1" };
  expect(await thrownBy(responses.create(stored))).toMatchObject({ status: 400, code: "previous_response_not_found" });
  expect(gateway.upstream.requests).toEqual([]);
});

test("models are listed for both SDKs", async () => {
  await using gateway = await startTestGateway({ replies: {}, cascade: ["chat:one", "messages:two"] });
  const options = { apiKey: "sk-client", maxRetries: 0 };
  const theirs = await new Anthropic({ ...options, baseURL: gateway.url }).models.list();
  const open = await new OpenAI({ ...options, baseURL: `${gateway.url}/v1` }).models.list();
  expect(theirs.data.map((model) => model.id)).toEqual(open.data.map((model) => model.id));
  expect(theirs.data.map((model) => model.id)).toContain("chat:one");
  expect(theirs.data.every((model) => model.type === "model")).toBe(true);
});

test("tokens are counted for the Anthropic SDK although the upstream cannot", async () => {
  await using gateway = await startTestGateway({ replies: {} });
  const { messages } = new Anthropic({ apiKey: "sk-client", maxRetries: 0, baseURL: gateway.url });
  const counted = await messages.countTokens({
    model: "chat:any",
    messages: [{ role: "user", content: "How many tokens are in this sentence?" }],
  });
  expect(counted.input_tokens).toBeWithin(8, 30);
});
