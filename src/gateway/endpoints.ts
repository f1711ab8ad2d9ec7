/**
 * THE table of what is served besides models: each row is what a request is read by, what its answer's type is made of, and
 * a path in /openapi.json. A row without a handler, or a handler without a row, does not compile.
 */

import { z } from "zod";
import { usageGroups } from "../usage-groups.ts";
import {
  about,
  breakerList,
  budgetList,
  captureReport,
  gatewayStatus,
  headroomReport,
  health,
  lineStatus,
  livez,
  quotaReport,
  readyReport,
  reloadReport,
  requestDetails,
  requestPage,
  resetBreakersRequest,
  resetReport,
  routingReport,
  setCaptureRequest,
  usageReport,
  whyReport,
} from "./admin-schemas.ts";
import {
  createKeyRequest,
  keyList,
  keyReport,
  newKeyReport,
  revokeKeyRequest,
  rotatedKeyReport,
  rotateKeyRequest,
} from "./key-schemas.ts";

export interface Endpoint {
  method: "get" | "post";
  /** `{id}` stands for a parameter. */
  path: string;
  /** The name of its answer among the schemas. */
  name: string;
  summary: string;
  params?: z.ZodObject;
  query?: z.ZodObject;
  /** What is sent as JSON, the name it has among the schemas, and one that would be taken. */
  body?: { schema: z.ZodType; name: string; example: object };
  answer: z.ZodType;
  /** What the answer is told with besides 200. */
  also?: readonly number[];
  /** What else it may be refused with, besides what holds for all of its kind. */
  refusals?: readonly number[];
}

/** A number in a query is text. */
function wholeNumber(least: number, most: number) {
  return z
    .string()
    .regex(/^\d{1,6}$/, "must be a whole number")
    .transform(Number)
    .pipe(z.int().min(least).max(most))
    .optional();
}

const id = z.object({ id: z.string().min(1).max(200).describe("a request's id, its beginning, or last") });

/** Below /admin, for programs on this machine. */
export const adminEndpoints = {
  about: { method: "get", path: "/", name: "About", summary: "Whose gateway this is", answer: about },
  status: {
    method: "get",
    path: "/status",
    name: "Status",
    summary: "All that the gateway knows of itself at this moment",
    query: z.object({ recent: wholeNumber(0, 999_999).describe("how many that have ended to tell of, 200 at most") }),
    answer: gatewayStatus,
  },
  line: {
    method: "get",
    path: "/line",
    name: "Line",
    summary: "As much of it as fits into a line",
    query: z.object({
      tier: z.string().max(20).optional().describe("whose first model is told; BIG when left out"),
      launch: z.string().max(200).optional().describe("the launch whose last answer is told"),
    }),
    answer: lineStatus,
  },
  breakers: {
    method: "get",
    path: "/breakers",
    name: "Breakers",
    summary: "What is out of order, since when and until when",
    answer: breakerList,
  },
  resetBreakers: {
    method: "post",
    path: "/breakers/reset",
    name: "BreakersReset",
    summary: "Have what is out of order tried again at once",
    body: { schema: resetBreakersRequest, name: "ResetBreakers", example: { match: "all" } },
    answer: resetReport,
  },
  quota: {
    method: "get",
    path: "/quota",
    name: "Quota",
    summary: "How much of each limit is left, and until when",
    answer: quotaReport,
  },
  budgets: {
    method: "get",
    path: "/budgets",
    name: "Budgets",
    summary: "What may still be used: of the day, by agents, sessions and keys",
    answer: budgetList,
  },
  why: {
    method: "get",
    path: "/why/{id}",
    name: "Why",
    summary: "What became of a request: which rule, which candidates, what each answered",
    params: id,
    answer: whyReport,
    refusals: [404],
  },
  requests: {
    method: "get",
    path: "/requests",
    name: "Requests",
    summary: "Requests of the last 24 hours, the newest first",
    query: z.object({
      limit: wholeNumber(1, 200).describe("50 when left out"),
      agent: z.string().length(1).optional().describe("the agent's letter"),
      status: z.enum(["pending", "completed", "error", "aborted"]).optional(),
      session: z.string().min(1).max(200).optional().describe("its id, or the beginning of it"),
      launch: z.string().min(1).max(200).optional(),
    }),
    answer: requestPage,
  },
  request: {
    method: "get",
    path: "/requests/{id}",
    name: "RequestDetails",
    summary: "One request and its attempts",
    params: id,
    answer: requestDetails,
    refusals: [404],
  },
  usage: {
    method: "get",
    path: "/usage",
    name: "Usage",
    summary: "What was used in a span of days and what it cost",
    query: z.object({
      period: z
        .string()
        .max(40)
        .default("today")
        .describe("today, yesterday, 7d, month, 2026-11, 2026-11-20, or two days with .. between"),
      by: z.enum(usageGroups).default("model"),
    }),
    answer: usageReport,
  },
  capture: {
    method: "get",
    path: "/capture",
    name: "Capture",
    summary: "Whether bodies are kept, and how many are",
    answer: captureReport,
  },
  setCapture: {
    method: "post",
    path: "/capture",
    name: "Capture",
    summary: "Keep the bodies of requests and answers for a while, or no longer",
    body: { schema: setCaptureRequest, name: "SetCapture", example: { what: "off" } },
    answer: captureReport,
  },
  routing: {
    method: "get",
    path: "/routing",
    name: "Routing",
    summary: "How often each routing rule has decided",
    answer: routingReport,
  },
  headroom: {
    method: "get",
    path: "/headroom",
    name: "Headroom",
    summary: "Whether Headroom compresses, and what that is worth by session",
    answer: headroomReport,
  },
  keys: { method: "get", path: "/keys", name: "Keys", summary: "Keys and what each is good for", answer: keyList },
  createKey: {
    method: "post",
    path: "/keys",
    name: "NewKey",
    summary: "Make a key, which is told this once",
    body: { schema: createKeyRequest, name: "CreateKey", example: { name: "laptop", agents: ["claude"] } },
    answer: newKeyReport,
  },
  revokeKey: {
    method: "post",
    path: "/keys/revoke",
    name: "Key",
    summary: "End a key, at once",
    body: { schema: revokeKeyRequest, name: "RevokeKey", example: { key: "laptop" } },
    answer: keyReport,
    refusals: [404],
  },
  rotateKey: {
    method: "post",
    path: "/keys/rotate",
    name: "RotatedKey",
    summary: "A new key in place of one, on the same terms",
    body: { schema: rotateKeyRequest, name: "RotateKey", example: { key: "laptop", grace_seconds: 86_400 } },
    answer: rotatedKeyReport,
    refusals: [404],
  },
  reload: {
    method: "post",
    path: "/reload",
    name: "Reload",
    summary: "Read the config file now, which is otherwise done when it changes",
    body: { schema: z.strictObject({}), name: "Nothing", example: {} },
    answer: reloadReport,
    refusals: [404],
  },
} as const satisfies Record<string, Endpoint>;

/** For whoever looks after the gateway: on any address that it listens on. */
export const operationalEndpoints = {
  livez: {
    method: "get",
    path: "/livez",
    name: "Livez",
    summary: "Whether it runs; never asks for a key",
    answer: livez,
  },
  health: {
    method: "get",
    path: "/health",
    name: "Health",
    summary: "Whether all is well; 503 while it shuts down",
    answer: health,
    also: [503],
  },
  ready: {
    method: "get",
    path: "/ready",
    name: "Ready",
    summary: "Whether a request would be answered as it should: database, prices, upstreams, loops; 503 if not",
    answer: readyReport,
    also: [503],
  },
} as const satisfies Record<string, Endpoint>;

export type AdminEndpoints = typeof adminEndpoints;

/** What a handler is handed. */
export interface Asked<Row extends Endpoint> {
  params: Row["params"] extends z.ZodType ? z.output<Row["params"]> : undefined;
  query: Row["query"] extends z.ZodType ? z.output<Row["query"]> : undefined;
  body: Row["body"] extends { schema: z.ZodType } ? z.output<Row["body"]["schema"]> : undefined;
}

export type Answer<Row extends Endpoint> = z.input<Row["answer"]>;

export type AdminHandlers = {
  [Name in keyof AdminEndpoints]: (
    asked: Asked<AdminEndpoints[Name]>,
  ) => Answer<AdminEndpoints[Name]> | Promise<Answer<AdminEndpoints[Name]>>;
};
