/**
 * What one launch against the canary showed, and what is to be thought of it. Pure: canary.ts, refusing-proxy.ts and
 * probe.ts do the looking.
 */

import { maskLaunchToken, parseLaunchToken } from "../../src/launch-token.ts";
import type { Protocol } from "../../src/protocols/chat.ts";

/** A key as a request carried it; never the key itself. */
export interface Credential {
  /** In lower case. */
  header: string;
  /** `launch`: this launch's token. `leftover`: a token of another launch. `own`: a key of the user's. `placeholder`: nobody's. */
  kind: "launch" | "leftover" | "own" | "placeholder";
  /** Masked unless it is nobody's. */
  shown: string;
}

/** Where a request declares its tools: in `tools`, or in Codex's `input` items of type `additional_tools`. */
export type ToolDialect = "plain" | "additional_tools" | "none";

/** `task`: it carries the prompt. The others are calls that an agent makes of its own accord. */
export type Purpose = "task" | "title" | "memory" | "other";

/** A request for a model that reached the canary. */
export interface ModelCall {
  /** Without the query string. */
  path: string;
  protocol: Protocol;
  model: string;
  credentials: readonly Credential[];
  userAgent: string;
  isStream: boolean;
  toolDialect: ToolDialect;
  purpose: Purpose;
  /** Milliseconds since the canary was started. */
  atMs: number;
}

/** A host that the agent tried to reach past the canary; refused. */
export interface Contact {
  /** Without the port. */
  host: string;
  port: number;
}

/** How the agent's process ended. */
export type Ending =
  | { kind: "exit"; status: number }
  | { kind: "signal"; signal: string }
  | { kind: "limit"; limitMs: number }
  | { kind: "not-started"; reason: string };

/** All that one launch showed. */
export interface Observation {
  agent: string;
  /** As typed after `xx`. */
  code: string;
  route: "p" | "b";
  /** The model that the launch names; undefined where the agent's own stands. */
  askedModel: string | undefined;
  calls: readonly ModelCall[];
  contacts: readonly Contact[];
  ending: Ending;
  /** The canary's answer came out of the agent. */
  hasAnswered: boolean;
  /** The last thing that the agent printed, masked; undefined when it printed nothing. */
  lastLine: string | undefined;
  durationMs: number;
  /** Files of the user's that name an address or a key of their own; `path` as it is to be shown. */
  rivals: readonly { path: string; names: readonly string[] }[];
  /** Hosts of model providers. */
  modelHosts: ReadonlySet<string>;
  traits: ProbeTraits;
}

/** What the judgement has to know of an agent beyond its launches. */
export interface ProbeTraits {
  /**
   * Which calls go by HTTPS_PROXY and its kin, so that they show; `other machines`: those to this one do not. Undefined
   * where nobody has measured.
   */
  shows: "anywhere" | "other machines" | undefined;
  /** Hosts that it asks for updates, price lists and telemetry, also when all is well. */
  housekeeping: readonly string[];
  /** Why its own model may miss the gateway on route b, and what to do. */
  ownModelLimit?: string;
}

export const verdicts = [
  "ok",
  "wrong-destination",
  "wrong-key",
  "wrong-model",
  "nothing-seen",
  "failed",
  "refused",
  "not-installed",
] as const;
export type Verdict = (typeof verdicts)[number];

/** A row of `clutch doctor --agents --json`, and of the stored results: hence the spelling. */
export interface RouteCheck {
  route: "p" | "b";
  verdict: Verdict;
  /** `canary`, the hosts that were tried instead, or null when nothing was seen. */
  destination: string | null;
  protocol: Protocol | null;
  /** Of the task's call. */
  model: string | null;
  /** Masked. */
  key: string | null;
  /** Model calls that reached the canary. */
  calls: number;
  /** Those of `calls` beyond the one that a prompt needs. */
  extra_calls: number;
  extras: { purpose: Purpose | "again"; model: string }[];
  /** Hosts that were tried besides the destination: updates, telemetry. */
  elsewhere: string[];
  tool_dialect: ToolDialect | null;
  duration_ms: number | null;
  /** What to do about it; null when there is nothing to do. */
  fix: string | null;
}

/** A cell that was not launched, with its reason. */
export function describeUnlaunched(route: "p" | "b", verdict: "refused" | "not-installed", reason: string): RouteCheck {
  return {
    route,
    verdict,
    destination: null,
    protocol: null,
    model: null,
    key: null,
    calls: 0,
    extra_calls: 0,
    extras: [],
    elsewhere: [],
    tool_dialect: null,
    duration_ms: null,
    fix: reason,
  };
}

/** A refusal and an agent that is not there are no fault. */
export function isFault(verdict: Verdict): boolean {
  return verdict !== "ok" && verdict !== "refused" && verdict !== "not-installed";
}

const servedPaths: Readonly<Record<Protocol, string>> = {
  messages: "/v1/messages",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
};

/** Names of the gateway's own: a launch may ask for them besides the model that it names. */
const tierModels = ["clutch-big", "clutch-middle", "clutch-small"];

/** The first fault that is found, from the address over the key to the model; `ok` if there is none. */
export function judge(observation: Observation): RouteCheck {
  const { calls } = observation;
  const task = calls.find((call) => call.purpose === "task") ?? calls[0];
  const fault = findFault(observation, task);
  const destination = task === undefined ? fault.destination : (fault.destination ?? "canary");
  const elsewhere = new Set(observation.contacts.map(renderHost));
  for (const host of (destination ?? "").split(", ")) elsewhere.delete(host);
  return {
    route: observation.route,
    verdict: fault.verdict,
    destination: destination ?? null,
    protocol: task?.protocol ?? null,
    model: task?.model ?? null,
    key: task === undefined ? null : renderCredentials(task.credentials),
    calls: calls.length,
    extra_calls: Math.max(0, calls.length - 1),
    extras: calls
      .filter((call) => call !== task)
      .map(({ purpose, model }) => ({ purpose: purpose === "task" ? "again" : purpose, model })),
    elsewhere: [...elsewhere],
    tool_dialect: task?.toolDialect ?? null,
    duration_ms: Math.round(observation.durationMs),
    fix: fault.fix ?? null,
  };
}

/** The fault of one launch, and where its calls went if not to the canary. */
interface Fault {
  verdict: Verdict;
  destination?: string;
  fix?: string;
}

function findFault(observation: Observation, task: ModelCall | undefined): Fault {
  if (task === undefined) return findAbsence(observation);
  const { agent, askedModel, route, calls, ending } = observation;

  const misplaced = calls.find((call) => call.path !== servedPaths[call.protocol]);
  if (misplaced !== undefined) {
    const fix = `${agent} asked for ${misplaced.path} in place of ${servedPaths[misplaced.protocol]}${blame(observation, "address")}`;
    return { verdict: "wrong-destination", destination: `canary${misplaced.path}`, fix };
  }

  const foreign = calls.flatMap((call) => call.credentials).find((credential) => credential.kind === "own");
  const hasTokenBeside = calls.every((call) => call.credentials.some((credential) => credential.kind === "launch"));
  // Route b lets an agent keep its own login, with the token in a header of its own.
  if (foreign !== undefined && !(route === "b" && hasTokenBeside)) {
    const fix = `${agent} sent a key of yours (${foreign.header} ${foreign.shown}) in place of the launch's${blame(observation, "key")}`;
    return { verdict: "wrong-key", fix };
  }
  if (!hasTokenBeside) {
    const bare = calls.find((call) => !call.credentials.some((credential) => credential.kind === "launch"));
    const fix = `${agent} sent ${renderCredentials(bare?.credentials ?? [])} in place of the launch's key${blame(observation, "key")}`;
    return { verdict: "wrong-key", fix };
  }

  const allowed = askedModel === undefined ? undefined : [askedModel, ...(route === "p" ? tierModels : [])];
  const stranger =
    askedModel !== undefined && task.model !== askedModel
      ? task
      : calls.find((call) => allowed !== undefined && !allowed.includes(call.model));
  if (stranger !== undefined) {
    const what = stranger === task ? "the task" : `a call of its own (${stranger.purpose})`;
    const fix = `${agent} asked for ${stranger.model || "no model"} in place of ${askedModel} for ${what}${blame(observation, "model")}`;
    return { verdict: "wrong-model", fix };
  }

  const strays = observation.contacts.filter(
    ({ host }) => observation.modelHosts.has(host) && !observation.traits.housekeeping.includes(host),
  );
  if (strays.length > 0) {
    const destination = [...new Set(["canary", ...strays.map(renderHost)])].join(", ");
    const fix = `${agent} asked the gateway, and ${destination.replace("canary, ", "")} besides${blame(observation, "address")}`;
    return { verdict: "wrong-destination", destination, fix };
  }

  if (ending.kind !== "exit" || ending.status !== 0 || !observation.hasAnswered) {
    const fix = `the gateway was asked as it should be, but ${describeEnding(observation)}`;
    return { verdict: "failed", fix };
  }
  return { verdict: "ok" };
}

/** Nothing asked the canary for a model: somebody else was asked, or nobody. */
function findAbsence(observation: Observation): Fault {
  const { agent, traits } = observation;
  const tried = findTried(observation);
  if (tried.length > 0) {
    const destination = tried.join(", ");
    const fix = `${agent} still talks to ${destination}${blame(observation, "address")}`;
    return { verdict: "wrong-destination", destination, fix };
  }
  const visibility =
    traits.shows === undefined
      ? `whether a call of ${agent} to another server would show is not known`
      : traits.shows === "anywhere"
        ? "a call to another server would have shown"
        : "a call to another machine would have shown, one to a server on this machine would not";
  const cause = findCauses(observation, "address").length === 0 ? "" : `, perhaps${blame(observation, "address")}`;
  return { verdict: "nothing-seen", fix: `nothing seen (${visibility}); ${describeEnding(observation)}${cause}` };
}

/** The hosts that were asked in the gateway's place; several when it cannot be told which of them is the model's. */
function findTried(observation: Observation): string[] {
  const { contacts, modelHosts, traits } = observation;
  const isUsual = (contact: Contact) => traits.housekeeping.includes(contact.host);
  const isProvider = (contact: Contact) => modelHosts.has(contact.host);
  const odd = contacts.filter((contact) => !isUsual(contact));
  const oddProviders = odd.filter(isProvider);
  // A vendor's own host serves telemetry and price lists as well as models.
  const usualProviders = contacts.filter((contact) => isUsual(contact) && isProvider(contact));
  const tried = [oddProviders, odd, usualProviders].find((list) => list.length > 0) ?? [];
  return [...new Set(tried.map(renderHost))];
}

function renderHost({ host, port }: Contact): string {
  return port === 443 || port === 80 ? host : `${host}:${port}`;
}

const kindOfSetting = {
  address: /URL|PROVIDER|^model$/i,
  key: /KEY|TOKEN|SECRET/i,
  model: /MODEL/i,
} as const;

/** The file that wins and what to do, as the end of a sentence; where none is known, where to look. */
function blame(observation: Observation, what: keyof typeof kindOfSetting): string {
  const { agent, code, route, traits } = observation;
  const causes = findCauses(observation, what);
  if (route === "b" && what === "address" && traits.ownModelLimit !== undefined) {
    return ` because ${[...causes, traits.ownModelLimit].join(", and ")}`;
  }
  if (causes.length === 0) {
    return `; no file that Clutch knows explains it: compare xx ${code} -n with ${agent}'s own settings`;
  }
  return ` because ${causes.join(", and ")}, which wins over the launch: take it out of that file`;
}

/** `~/.hermes/.env sets CUSTOM_BASE_URL`, for each file with a setting of this kind. */
function findCauses({ rivals }: Observation, what: keyof typeof kindOfSetting): string[] {
  return rivals.flatMap(({ path, names }) => {
    const guilty = names.filter((name) => kindOfSetting[what].test(name));
    return guilty.length === 0 ? [] : [`${path} sets ${guilty.join(" and ")}`];
  });
}

function describeEnding({ agent, ending, hasAnswered, lastLine }: Observation): string {
  const last = lastLine === undefined ? "and printed nothing" : `and said: ${lastLine}`;
  switch (ending.kind) {
    case "not-started":
      return `${agent} could not be started: ${ending.reason}`;
    case "limit":
      return `${agent} did not end within ${ending.limitMs / 1000} s ${last}`;
    case "signal":
      return `${agent} was ended by ${ending.signal} ${last}`;
    case "exit":
      if (ending.status !== 0) return `${agent} failed with status ${ending.status} ${last}`;
      return hasAnswered ? `${agent} ended well` : `${agent} ended without the answer ${last}`;
  }
}

/** One cell of a table: how the key travelled. */
export function renderCredentials(credentials: readonly Credential[]): string {
  if (credentials.length === 0) return "none";
  const token = credentials.find((credential) => credential.kind === "launch");
  const others = credentials.filter((credential) => credential.kind !== "launch");
  const own = others.map(({ header, kind, shown }) =>
    kind === "placeholder" ? shown : kind === "leftover" ? `another launch's (${shown})` : `own ${header} ${shown}`,
  );
  return [...(token === undefined ? [] : ["launch token"]), ...own].join(" + ");
}

const placeholders = ["no-key-required"];

/**
 * What a header's value is, with the value masked.
 * @param token the launch's own
 */
export function classifyCredential(header: string, value: string, token: string): Credential {
  const key = value.trim().replace(/^bearer\s+/i, "");
  if (key === token) return { header, kind: "launch", shown: maskLaunchToken(key) };
  if (parseLaunchToken(key) !== undefined) return { header, kind: "leftover", shown: maskLaunchToken(key) };
  if (placeholders.includes(key)) return { header, kind: "placeholder", shown: key };
  return { header, kind: "own", shown: maskKey(key) };
}

/** The first letters, which tell the vendor, of a key that is long enough to spare them. */
function maskKey(key: string): string {
  return key.length < 16 ? "…" : `${key.slice(0, 5)}…`;
}
