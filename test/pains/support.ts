/** Names each pain once, keeps account of which are proven absent, and asks a gateway the way an agent does. */

import { afterAll, test } from "bun:test";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import type { AskOptions, TestGateway } from "../support/gateway.ts";
import { checkText, type StreamReport } from "../support/grammar/index.ts";

const outcomes = new Map<string, "pass" | "FAIL" | "not run">();

/** A test named after the pain; its outcome stands in the report at the end. */
export function pain(number: number, name: string, prove: () => Promise<void>): void {
  const title = `pain ${String(number).padStart(2, "0")}: ${name}`;
  outcomes.set(title, "not run");
  test(title, async () => {
    outcomes.set(title, "FAIL");
    await prove();
    outcomes.set(title, "pass");
  });
}

export function reportPains(): void {
  afterAll(() => {
    const lines = [...outcomes].sort(([one], [other]) => (one < other ? -1 : 1));
    const passed = lines.filter(([, outcome]) => outcome === "pass").length;
    console.log(
      ["", "Pains of the field that Clutch does not have", ...lines.map(([title, outcome]) => `  ${outcome}  ${title}`)]
        .concat(`  ${passed} of ${lines.length}`, "")
        .join("\n"),
    );
  });
}

export interface Heard extends StreamReport {
  status: number;
  requestId: string | null;
  servedBy: string | null;
}

/** A stream as the client's own strict reader understands it. */
export async function listen(
  gateway: TestGateway,
  client: Protocol,
  model: string,
  init: AskOptions = {},
): Promise<Heard> {
  // Every Chat agent asks for usage.
  const asked = client === "chat" ? { stream_options: { include_usage: true }, ...init.body } : init.body;
  const response = await gateway.ask(client, model, true, { ...init, ...(asked === undefined ? {} : { body: asked }) });
  const report = checkText(client, await response.text(), client === "chat");
  const { headers, status } = response;
  return {
    ...report,
    status,
    requestId: headers.get("x-clutch-request-id"),
    servedBy: headers.get("x-clutch-served-by"),
  };
}

/** The body of the latest request that an upstream was sent. */
export function lastSent(gateway: TestGateway): JsonObject {
  return gateway.upstream.requests.at(-1)?.body ?? {};
}

/** As the client understands them: names and parsed arguments. */
export function callsOf(heard: StreamReport): { id: string; name: string; arguments: unknown }[] {
  return heard.calls.map((call) => ({
    id: call.id,
    name: call.name,
    arguments: JSON.parse(call.arguments === "" ? "{}" : call.arguments) as unknown,
  }));
}

/** The first `count` events of a stream. */
export function firstEvents(stream: string, count: number): string {
  return stream
    .split("\n\n")
    .slice(0, count)
    .map((event) => `${event}\n\n`)
    .join("");
}

export function chatChunk(delta: JsonObject, reason: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: reason }];
  return `data: ${JSON.stringify({ id: "chatcmpl-up", object: "chat.completion.chunk", created: 1, model: "up", choices })}\n\n`;
}

export const chatDone = "data: [DONE]\n\n";
