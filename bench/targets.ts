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
} as const satisfies Record<RouteName, Route>;

/** The load goes straight to the mock, which speaks both protocols itself. */
export const direct: TargetSpec = { name: "direct", routes: plainRoutes };

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

/** Clutch with one Chat provider and its ledger on, in a home of its own (created here). */
export function clutchTarget(clutch: string, home: string, upstreamUrl: string): TargetSpec {
  mkdirSync(home, { recursive: true });
  const provider = { protocol: "chat", base_url: `${upstreamUrl}/v1`, api_key: "k" };
  const config = { providers: { mock: provider }, default_provider: "mock" };
  writeFileSync(join(home, "config.json"), JSON.stringify(config), { mode: 0o600 });
  return {
    name: "clutch",
    launch: (port) => ({
      argv: [clutch, "serve", "--host", "127.0.0.1", "--port", String(port)],
      env: { HOME: home, CLUTCH_HOME: home },
    }),
    routes: {
      same: { ...plainRoutes.same, model: "mock:mock-model" },
      translate: { ...plainRoutes.translate, model: "mock:mock-model" },
    },
  };
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
