/**
 * Every fault of the table, played to every client by an upstream of every protocol, over real sockets: what the client
 * sees, what the ledger says, what is held against whom. One gateway for a row; each of its cells has a provider of its own.
 */

import { afterAll, describe, expect, test } from "bun:test";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { answerText, at, pieces, protocols, summarise } from "../support/answers.ts";
import { json, type Reply, type Script, silent, sse } from "../support/fake-upstream.ts";
import { eventually, type Row, startTestGateway, type TestGateway, upstreamKey, within } from "../support/gateway.ts";
import { checkText } from "../support/grammar/index.ts";
import { richStream, richWhole } from "../support/rich-answers.ts";
import { clientErrors, type Fault, faults, firstWord, type Moment, type Played, type Seen } from "./fault-table.ts";

interface Cell {
  name: string;
  /** Provider, model and the name that the client asks for. */
  id: string;
  client: Protocol;
  upstream: Protocol;
  isStream: boolean;
  isAlone: boolean;
  expected: Seen;
  reply: Played;
  heard: PromiseWithResolvers<void>;
}

const heldLimitMs = 5_000;
const played: string[][] = [];

function cellsOf(fault: Fault): Cell[] {
  const cells: Cell[] = [];
  for (const client of protocols)
    for (const upstream of protocols)
      for (const isStream of [false, true])
        for (const isAlone of [false, true]) {
          const expected = isAlone ? fault.alone : fault.another;
          const heard = Promise.withResolvers<void>();
          const reply = fault.play(upstream, isStream, heard.promise);
          if (reply === undefined || expected === "waits") continue;
          const name = `${client}, ${isStream ? "streamed" : "whole"}, from ${upstream}, ${isAlone ? "alone" : "with another"}`;
          cells.push({ name, id: `c${cells.length}`, client, upstream, isStream, isAlone, expected, reply, heard });
        }
  return cells;
}

/** The candidate behind the one with the fault; where a tool must be called, it calls one. */
function goodReply(forcesTool: boolean): Script[string] {
  const calls = [{ id: "call_1", name: "look", arguments: "{}" }];
  const answer = forcesTool ? { calls, hasUsage: false } : { text: answerText, hasUsage: false };
  const stream = sse([richStream("chat", answer)]);
  const one = json(richWhole("chat", answer));
  return (request) => (request.body["stream"] === true ? stream : one);
}

function startFor(fault: Fault, cells: readonly Cell[]): Promise<TestGateway> {
  const replies: Record<string, Script[string]> = { good: goodReply(fault.forcesTool === true) };
  for (const { id, reply } of cells) if (typeof reply === "object") replies[id] = reply;
  return startTestGateway({
    replies,
    // What is soon over is waited for within the patience; here nothing is.
    timeouts: { patience_ms: 400, first_token_ms: 5000, idle_ms: 5000, ...fault.timeouts },
    config: (baseUrl) => ({
      providers: Object.fromEntries(
        cells.map(({ id, upstream, reply }) => {
          const base_url = reply === "refuse" ? "http://127.0.0.1:1/v1" : baseUrl;
          const api_key = reply === "no key" ? "env:NOWHERE" : upstreamKey;
          return [id, { protocol: upstream, base_url, api_key }];
        }),
      ),
      mappings: Object.fromEntries(cells.map(({ id }) => [`asks-${id}`, `${id}:${id}`])),
      fallbacks: ["other:good"],
    }),
  });
}

const parameters: JsonObject = { type: "object", properties: { at: { type: "string" } } };

/** A request that wants a call and nothing else. */
const forcing = {
  messages: { tools: [{ name: "look", input_schema: parameters }], tool_choice: { type: "any" } },
  chat: { tools: [{ type: "function", function: { name: "look", parameters } }], tool_choice: "required" },
  responses: { tools: [{ type: "function", name: "look", parameters }], tool_choice: "required" },
} as const satisfies Record<Protocol, JsonObject>;

interface Answer {
  status: number;
  servedBy: string | null;
  id: string | null;
  body: string;
}

async function askFor({ id, client, isStream, isAlone, heard }: Cell, fault: Fault, gateway: TestGateway) {
  const model = isAlone ? `${id}:${id}` : `asks-${id}`;
  const response = await gateway.ask(client, model, isStream, fault.forcesTool ? { body: forcing[client] } : {});
  const decoder = new TextDecoder();
  let body = "";
  for await (const chunk of response.body ?? []) {
    body += decoder.decode(chunk, { stream: true });
    if (body.includes(firstWord)) heard.resolve();
  }
  return {
    status: response.status,
    servedBy: response.headers.get("x-clutch-served-by"),
    id: response.headers.get("x-clutch-request-id"),
    body,
  };
}

/** All that a cell shows, in the words of the table. */
interface Shown {
  seen: string;
  request: string;
  attempts: string[];
  held: string;
  asked: number;
}

async function look(cell: Cell, fault: Fault, answer: Answer, gateway: TestGateway): Promise<Shown> {
  const row = await gateway.request(answer.id);
  const attempts = await gateway.attempts(answer.id);
  return {
    seen: nameWhatIsSeen(cell, fault, answer),
    request: `${row["status"]} ${row["http_status"]}, ${row["attempts"]} attempts`,
    attempts: attempts.map(({ provider, failure_kind: kind, failure_scope: scope }) =>
      kind === null ? `${provider}: served` : `${provider}: ${kind} of ${scope}`,
    ),
    held: nameWhatIsHeld(cell.id, gateway.circuits()),
    asked: gateway.upstream.models().filter((model) => model === cell.id).length,
  };
}

function nameWhatIsSeen(cell: Cell, fault: Fault, { status, servedBy, body }: Answer): string {
  const { client, isStream } = cell;
  if (status !== 200) {
    const shown = `${status} ${at(JSON.parse(body), "error", "type")}`;
    const names = Object.entries(clientErrors).filter(([, byClient]) => byClient[client] === shown);
    return names.some(([name]) => name === cell.expected) ? cell.expected : shown;
  }
  const isGood = servedBy === "other:good";
  if (!isStream) return isGood ? (body.includes(fault.forcesTool ? "look" : answerText) ? "next" : body) : "as it is";
  const { text, openings, successes, errors, endsInError } = summarise(client, body);
  const problems = [...newViolations(cell, isGood, body), ...(openings === 1 ? [] : [`${openings} openings`])];
  if (problems.length > 0) return problems.join("; ");
  if (errors.length === 1 && endsInError && successes === 0 && text === firstWord) return "broken off";
  if (errors.length > 0 || successes !== 1) return body;
  if (!isGood) return "as it is";
  return text === (fault.forcesTool ? "" : answerText) ? "next" : text;
}

/** What passes through as it came may break rules of its own; translated streams, and what we add, must not. */
function newViolations({ client, upstream, reply }: Cell, isGood: boolean, body: string): string[] {
  const { violations } = checkText(client, body);
  if (isGood || client !== upstream || typeof reply === "string") return violations;
  const own = checkText(client, `${reply.body.filter((piece) => typeof piece === "string").join("")}\n\n`).violations;
  return violations.filter((rule) => !own.includes(rule));
}

function nameWhatIsHeld(provider: string, circuits: Record<string, Row>): string {
  const own = Object.values(circuits).filter(({ id }) => String(id).split(/[:#]/)[1] === provider);
  const held = own.map(({ id, weight, until, opened_at: openedAt }) => {
    const what = String(id).split(":")[0];
    if (until === 0) return `${what} ${weight}/3`;
    return `${what} shut ${Math.round((Number(until) - Number(openedAt)) / 1000)} s`;
  });
  return held.length === 0 ? "nothing" : held.join(", ");
}

function expectedOf({ id, client, expected, reply }: Cell, fault: Fault): Shown {
  const failed = fault.ledger === null ? `${id}: served` : `${id}: ${fault.ledger}`;
  const isNext = expected === "next";
  // What the last hope says is taken for an answer, be it as it may.
  const attempts = expected === "as it is" ? [`${id}: served`] : isNext ? [failed, "other: served"] : [failed];
  const isServed = isNext || expected === "as it is";
  const status = isServed || expected === "broken off" ? 200 : Number.parseInt(errorOf(expected, client), 10);
  return {
    seen: expected,
    request: `${isServed ? "completed" : "error"} ${status}, ${attempts.length} attempts`,
    attempts,
    held: fault.held,
    asked: typeof reply === "string" ? 0 : 1,
  };
}

function errorOf(seen: Seen, client: Protocol): string {
  return clientErrors[seen as keyof typeof clientErrors][client];
}

describe.each(faults.map((fault) => [`${fault.moment}: ${fault.name}`, fault] as const))("%s", (_name, fault) => {
  test("is told, recorded and held against the right one in every cell", async () => {
    const cells = cellsOf(fault);
    await using gateway = await startFor(fault, cells);
    const answers = await Promise.all(
      cells.map((cell) => within(heldLimitMs, cell.name, askFor(cell, fault, gateway))),
    );
    await gateway.stop(0);
    const shown = await Promise.all(cells.map((cell, index) => look(cell, fault, answers[index] as Answer, gateway)));
    const named = (values: readonly Shown[]) => Object.fromEntries(cells.map(({ name }, at) => [name, values[at]]));
    expect(named(shown)).toEqual(named(cells.map((cell) => expectedOf(cell, fault))));
    const { moment, name, another, alone, ledger, held } = fault;
    played.push([moment, name, another, alone, ledger ?? "served", held, String(cells.length)]);
  });
});

const leavings: readonly [Moment, (upstream: Protocol) => Reply, isWholeToo: boolean][] = [
  ["before the headers", () => silent, true],
  ["before content", (upstream) => sse([pieces[upstream].opening], "open"), false],
  [
    "after the commit",
    (upstream) => sse([pieces[upstream].opening + pieces[upstream].words(firstWord)], "open"),
    false,
  ],
];

describe.each(leavings)("%s the client leaves", (moment, play, isWholeToo) => {
  test("and nobody is blamed or asked after that, in any cell", async () => {
    const pairs = protocols.flatMap((client) => protocols.map((upstream) => ({ client, upstream })));
    const cells = pairs.flatMap((pair) =>
      [true, ...(isWholeToo ? [false] : [])].map((isStream) => ({ ...pair, isStream })),
    );
    await using gateway = await startTestGateway({
      replies: {
        ...Object.fromEntries(protocols.map((upstream) => [`bad-${upstream}`, play(upstream)])),
        good: goodReply(false),
      },
      config: {
        mappings: Object.fromEntries(protocols.map((upstream) => [`asks-${upstream}`, `${upstream}:bad-${upstream}`])),
        fallbacks: ["other:good"],
      },
    });
    const leaving = new AbortController();
    const asked = cells.map(async ({ client, upstream, isStream }) => {
      const response = await gateway.ask(client, `asks-${upstream}`, isStream, { signal: leaving.signal });
      for await (const chunk of response.body ?? []) void chunk;
    });
    await gateway.upstream.received(cells.length);
    if (moment === "after the commit") await Bun.sleep(50);
    leaving.abort();
    const ends = await Promise.all(
      asked.map((one) =>
        one.then(
          () => "answered",
          () => "left",
        ),
      ),
    );
    expect(ends).toEqual(cells.map(() => "left"));
    await within(5000, "closing the upstream's connections", gateway.upstream.quiet());
    await eventually("the end of every request", () => gateway.gateway.inFlight() === 0);
    await gateway.stop(0);
    expect(gateway.requests().map(({ status, attempts }) => `${status} ${attempts}`)).toEqual(
      cells.map(() => "aborted 1"),
    );
    expect(gateway.upstream.models()).not.toContain("good");
    expect(gateway.circuits()).toEqual({});
    played.push([moment, "the client leaves", "gone", "gone", "aborted of request", "nothing", String(cells.length)]);
  });
});

afterAll(() => {
  const head = ["moment", "fault", "with another", "alone", "ledger", "held against", "cells"];
  const rows = [head, ...played];
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((value, column) => value.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const cells = played.reduce((sum, row) => sum + Number(row.at(-1)), 0);
  console.log(
    `\n${lines.join("\n")}\n${played.length} of ${faults.length + leavings.length} faults as expected in all ${cells} cells\n`,
  );
});
