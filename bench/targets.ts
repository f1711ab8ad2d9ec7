/** Who is measured: the direct path, the two baselines, Clutch itself. Each is one literal; ports are handed in. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildBody } from "./bodies.ts";
import { compileProgram, type Route, type RouteName, type RunningTarget, type TargetSpec } from "./harness.ts";

const messagesHeaders = { "x-api-key": "bench", "anthropic-version": "2023-06-01" };
const chatHeaders = { authorization: "Bearer bench" };

const plainRoutes = {
  same: { path: "/v1/chat/completions", dialect: "chat", model: "mock-model", headers: chatHeaders },
  translate: { path: "/v1/messages", dialect: "messages", model: "mock-model", headers: messagesHeaders },
  // A session of its own, so that affinity has something to look up.
  routed: {
    path: "/v1/messages",
    dialect: "messages",
    model: "claude-opus-5-5",
    headers: { ...messagesHeaders, "x-claude-code-session-id": "bench" },
  },
  recorded: { path: "/v1/chat/completions", dialect: "chat", model: "mock-model", headers: chatHeaders },
} as const satisfies Record<RouteName, Route>;

/** The load goes straight to the mock, which speaks both protocols itself. */
export const direct: TargetSpec = {
  name: "direct",
  routes: { same: plainRoutes.same, translate: plainRoutes.translate },
};

/** @param upstreamUrl the mock's base URL, without a path */
export function baselineTargets(upstreamUrl: string): TargetSpec[] {
  const launch = (mode: string) => (port: number) => ({
    argv: [compileProgram("baselines")],
    env: { MODE: mode, PORT: String(port), UPSTREAM: upstreamUrl },
  });
  return [
    { name: "passthrough", launch: launch("passthrough"), routes: { same: plainRoutes.same } },
    { name: "translator", launch: launch("translate"), routes: { translate: plainRoutes.translate } },
  ];
}

/** Every rule that looks into a request, none of which applies to the bench's; a cascade to sift, and a limit to count. */
const rules = {
  model_tiers: { BIG: { default: "mock:mock-model", cascade: ["mock:two", "mock:three", "mock:four"] } },
  fallbacks: ["mock:five", "mock:six"],
  toolcall_models: ["mock:seven"],
  routes: {
    image: "mock:eyes",
    web_search: "mock:search",
    think: "mock:thinker",
    background: "mock:small",
    long_context: { model: "mock:long", threshold: 1_000_000 },
  },
  mappings: { "coder-model": "BIG" },
  quotas: { "mock:two": { max_requests_per_minute: 30 } },
};

/** Clutch with one Chat provider and its ledger on, in a home of its own (created here). */
export function clutchTarget(clutch: string, home: string, upstreamUrl: string): TargetSpec {
  return {
    name: "clutch",
    launch: launchClutch(clutch, home, upstreamUrl, rules),
    routes: {
      same: { ...plainRoutes.same, model: "mock:mock-model" },
      translate: { ...plainRoutes.translate, model: "mock:mock-model" },
      routed: plainRoutes.routed,
      recorded: { ...plainRoutes.recorded, model: "mock:mock-model" },
    },
  };
}

/** Clutch with nothing to route by, asked for the model itself: what routing and sifting are held against. */
export function unroutedTarget(clutch: string, home: string, upstreamUrl: string): TargetSpec {
  return {
    name: "unrouted",
    launch: launchClutch(clutch, home, upstreamUrl, {}),
    routes: { routed: { ...plainRoutes.routed, model: "mock:mock-model" } },
  };
}

/** Clutch that keeps nothing of any request: what its ledger is held against. */
export function unrecordedTarget(clutch: string, home: string, upstreamUrl: string): TargetSpec {
  return {
    name: "unrecorded",
    launch: launchClutch(clutch, home, upstreamUrl, { ...rules, ledger: { enabled: false } }),
    routes: { recorded: { ...plainRoutes.recorded, model: "mock:mock-model" } },
  };
}

function launchClutch(clutch: string, home: string, upstreamUrl: string, more: object): TargetSpec["launch"] {
  mkdirSync(home, { recursive: true });
  const provider = { protocol: "chat", base_url: `${upstreamUrl}/v1`, api_key: "k" };
  // As most models have one; what it is makes no difference.
  const prices = { "mock:mock-model": { usd_per_million: { input: 1, output: 5 } } };
  const config = { providers: { mock: provider }, default_provider: "mock", prices, ...more };
  writeFileSync(join(home, "config.json"), JSON.stringify(config), { mode: 0o600 });
  return (port) => ({
    argv: [clutch, "serve", "--host", "127.0.0.1", "--port", String(port)],
    env: { HOME: home, CLUTCH_HOME: home },
  });
}

const proofChunks = 20;

/** Asks once for a whole answer and once for a stream; a gateway that answers wrongly must not be timed. */
export async function findFault(target: RunningTarget, route: Route): Promise<string | undefined> {
  for (const stream of [false, true]) {
    const options = { dialect: route.dialect, bytes: 2048, stream, model: route.model, script: `n=${proofChunks}` };
    const answer = await fetch(target.baseUrl + route.path, {
      method: "POST",
      headers: { "content-type": "application/json", ...route.headers },
      body: buildBody(options),
      signal: AbortSignal.timeout(5000),
    }).catch((error: unknown) => new Response(String(error), { status: 599 }));
    const text = await answer.text();
    const what = stream ? "streamed" : "whole";
    const isRight = stream ? isWholeStream(text, route) : text.includes("answers from the mock upstream");
    if (answer.status !== 200 || !isRight) {
      return `${target.spec.name} ${route.path} (${what}) answered ${answer.status}: ${text.slice(0, 200).trim()}`;
    }
  }
  return undefined;
}

function isWholeStream(text: string, route: Route): boolean {
  const chunks = text.match(/@\d{19}@/g)?.length;
  return chunks === proofChunks && text.includes(route.dialect === "messages" ? "message_stop" : "[DONE]");
}
