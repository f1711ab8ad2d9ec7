/** What routing is asked about a client's request, with the answers that take the disk or the user's script. */

import { agentIdOf } from "../agent-roles.ts";
import type { Json, Protocol } from "../protocols/chat.ts";
import type { RequestBody } from "./body.ts";
import type { CustomRoute } from "./custom-route.ts";
import type { Caller } from "./recognise.ts";
import { readFacts } from "./request-facts.ts";
import { type Outline, outlineRequest } from "./request-outline.ts";
import { asksScript, hasNoRules, type RouteRequest, type Routing, type ScriptAnswer } from "./router.ts";
import { resolveName } from "./rules.ts";
import { type SubagentFinder, subagentHeader } from "./subagents.ts";

/** The rules' helpers that are no pure functions. */
export interface RuleHelpers {
  script: CustomRoute;
  subagents: SubagentFinder;
}

/** Hermes' own name for itself is that of its library, so one that was started by hand looks like any Python program. */
const perhapsHermes = /^(?:Async)?OpenAI\/Python /;

/**
 * At once, unless the user's script has a say.
 * @throws {ProtocolError} when a configured rule needs the content and it is not JSON
 */
export function describeRequest(
  protocol: Protocol,
  headers: Headers,
  body: RequestBody,
  caller: Caller,
  routing: Routing,
  helpers: RuleHelpers,
): RouteRequest | Promise<RouteRequest> {
  const { launch, keepsOwnLogin } = caller;
  let outlined: Outline | undefined;
  const outline = () => {
    outlined ??= outlineRequest(protocol, body.object());
    return outlined;
  };
  const agent = caller.agent ?? (perhapsHermes.test(headers.get("user-agent") ?? "") ? "h" : undefined);
  const request: RouteRequest = {
    protocol,
    model: body.model,
    launch,
    keepsOwnLogin,
    agent: caller.agent,
    facts: readFacts({ protocol, body, outline, headers, agent: agentIdOf(agent) }),
  };
  if (asksSubagent(request, headers, routing)) {
    request.subagent = helpers.subagents.find(outline().pieces);
  }
  if (!asksScript(request, routing)) return request;
  return askScript(request, body, routing, helpers.script).then((script) => ({ ...request, script }));
}

function asksSubagent(request: RouteRequest, headers: Headers, routing: Routing): boolean {
  const isConfigured = Object.keys(routing.config.agents.claude?.subagents ?? {}).length > 0;
  return isConfigured && request.agent === "c" && headers.has(subagentHeader) && !hasNoRules(request, routing);
}

function askScript(
  { protocol, model, launch, agent, facts }: RouteRequest,
  body: RequestBody,
  routing: Routing,
  script: CustomRoute,
): Promise<ScriptAnswer> {
  const { hasTools, hasImage, webSearch, tokens, thinks, call } = facts;
  const told: Json = {
    hasTools,
    hasImage,
    webSearch: webSearch ?? null,
    tokens,
    thinks: thinks ?? null,
    role: call?.role ?? null,
  };
  const request = { protocol, model, agent: agent ?? null, code: launch?.code ?? null, body: body.json(), facts: told };
  return script.ask(request, (name) => {
    const found = resolveName(name, "routes.custom", routing);
    return "problem" in found ? found.problem.replace(/^routes\.custom /, "route() ") : undefined;
  });
}
