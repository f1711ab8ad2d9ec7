/** `POST /v1/messages/count_tokens`: the upstream's own count where it has one, otherwise ours. It always answers. */

import { renderModelReference } from "../../providers/model-reference.ts";
import type { Fetch } from "../../providers/upstream.ts";
import type { JsonObject } from "../protocols/chat.ts";
import { ProtocolError } from "../protocols/codec.ts";
import { isObject } from "../protocols/json.ts";
import type { RequestBody } from "./body.ts";
import type { Target } from "./router.ts";
import { callBeside } from "./side-call.ts";
import { type Calibration, collectCountable, countTokens } from "./token-count.ts";

/** An agent waits for this before it goes on. */
const upstreamLimitMs = 5_000;

/** How long a provider that has no such endpoint is not asked again (ms). */
const absentForMs = 3_600_000;

export class TokenCounter {
  readonly #fetch: Fetch;
  readonly #now: () => number;
  readonly #calibration: Calibration;
  #absentUntil = new Map<string, number>();

  constructor(fetch: Fetch, now: () => number, calibration: Calibration) {
    this.#fetch = fetch;
    this.#now = now;
    this.#calibration = calibration;
  }

  /** @throws {ProtocolError} for a body that is no Messages request */
  async count(body: RequestBody, client: Headers, target: Target | undefined): Promise<JsonObject> {
    if (target?.protocol === "messages") {
      const theirs = await this.#ask(body, client, target);
      if (theirs !== undefined) return theirs;
    }
    const json = body.json();
    if (!isObject(json) || !Array.isArray(json["messages"])) {
      throw new ProtocolError("messages: an array is required", { param: "messages" });
    }
    const counted = await countTokens(collectCountable(json));
    const model =
      target === undefined ? "" : renderModelReference({ provider: target.provider.id, model: target.model });
    return { input_tokens: this.#calibration.correct(model, counted, body.bytes.length) };
  }

  /** Undefined whenever the upstream's answer is of no use; why does not matter, since ours stands in. */
  async #ask(body: RequestBody, client: Headers, target: Target): Promise<JsonObject | undefined> {
    const { provider } = target;
    if ((this.#absentUntil.get(provider.id) ?? 0) > this.#now()) return undefined;
    const call = { target, suffix: "/count_tokens", body, client, limitMs: upstreamLimitMs };
    const sent = await callBeside(call, this.#fetch);
    if (sent === undefined || !sent.ok) return undefined;
    const { response } = sent;
    if ([404, 405, 501].includes(response.status)) this.#absentUntil.set(provider.id, this.#now() + absentForMs);
    try {
      const answer = (await response.json()) as JsonObject;
      return response.ok && typeof answer["input_tokens"] === "number" ? answer : undefined;
    } catch {
      return undefined;
    }
  }
}
