/** `/openapi.json`, made of the table of endpoints and the schemas in it, which are those that requests are read by. */

import { z } from "zod";
import type { JsonObject } from "../protocols/chat.ts";
import { version } from "../version.ts";
import {
  attemptReport,
  breakerReport,
  dayTotals,
  endedRequest,
  errorReport,
  failureKind,
  flightReport,
  requestReport,
  tierReport,
  usageTotals,
} from "./admin-schemas.ts";
import { adminEndpoints, type Endpoint, operationalEndpoints } from "./endpoints.ts";

const reasons: Record<number, string> = {
  400: "The request cannot be read: the message says what is wrong with it",
  401: "The gateway requires a key, and this is none",
  403: "From another machine, through a proxy, or from a web page",
  404: "There is no such thing, or not just one",
  413: "The body is too large, or its length is not told",
  415: "Send content-type: application/json",
  429: "Too many wrong keys: retry-after says when to try again",
  503: "Not now",
};

let made: JsonObject | undefined;

/** Made when it is asked for the first time. OpenAPI 3.1, whose schemas are JSON Schema 2020-12. */
export function openApi(): JsonObject {
  made ??= {
    openapi: "3.1.1",
    info: {
      title: "Clutch",
      version,
      license: { name: "MIT", identifier: "MIT" },
      description:
        "What the gateway tells of itself, and the few things that can be done to it while it runs. Models are asked at " +
        "/v1/messages, /v1/chat/completions and /v1/responses, in the words of the vendors' own APIs. Times are ISO 8601 in " +
        "UTC. Below /admin only programs on this machine are answered, by the address of their socket.",
    },
    servers: [{ url: "http://127.0.0.1:8082", description: "server.host and server.port of the config" }],
    tags: [
      { name: "operations", description: "For whoever looks after the gateway" },
      { name: "admin", description: "For programs on this machine" },
    ],
    // A key is needed where the gateway requires one, and then nothing else will do.
    security: [{ bearer: [] }, { apiKey: [] }, {}],
    paths: describePaths(),
    components: {
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "The launch secret for /admin; any valid key elsewhere",
        },
        apiKey: { type: "apiKey", in: "header", name: "x-api-key" },
      },
      schemas: describeSchemas(),
    },
  };
  return made;
}

function all(): (Endpoint & { isAdmin: boolean })[] {
  return [
    ...Object.values<Endpoint>(operationalEndpoints).map((row) => ({ ...row, isAdmin: false })),
    ...Object.values<Endpoint>(adminEndpoints).map((row) => ({ ...row, isAdmin: true })),
  ];
}

function describePaths(): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const row of all()) {
    const path = row.isAdmin ? `/admin${row.path === "/" ? "" : row.path}` : row.path;
    paths[path] = { ...paths[path], [row.method]: describeOperation(row) };
  }
  paths["/metrics"] = { get: describeText("getMetrics", "Counts and states, for Prometheus", "text/plain") };
  paths["/openapi.json"] = { get: describeText("getOpenApi", "This description", "application/json") };
  return paths;
}

function describeOperation(row: Endpoint & { isAdmin: boolean }): JsonObject {
  const { method, path, name, summary, isAdmin, body, also = [], refusals = [] } = row;
  const usual = isAdmin
    ? [401, 403, 429, ...(row.query === undefined ? [] : [400]), ...(body === undefined ? [] : [400, 413, 415])]
    : [403];
  const answer = { content: { "application/json": { schema: reference(name) } } };
  const told = [...new Set([...usual, ...refusals])].toSorted();
  const parameters = [...describeParameters("path", row.params), ...describeParameters("query", row.query)];
  return {
    operationId: operationId(method, isAdmin ? `/admin${path}` : path),
    summary,
    tags: [isAdmin ? "admin" : "operations"],
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content: { "application/json": { schema: reference(body.name), example: body.example as JsonObject } },
      },
    }),
    responses: {
      "200": { description: "As asked", ...answer },
      ...Object.fromEntries(also.map((status) => [String(status), { description: reasons[status] ?? "", ...answer }])),
      ...Object.fromEntries(
        told.map((status) => [
          String(status),
          { description: reasons[status] ?? "", content: { "application/json": { schema: reference("Error") } } },
        ]),
      ),
    },
  };
}

function describeText(operation: string, summary: string, type: string): JsonObject {
  const schema = { type: type === "text/plain" ? "string" : "object" };
  return {
    operationId: operation,
    summary,
    tags: ["operations"],
    responses: {
      "200": { description: "As asked", content: { [type]: { schema } } },
      ...Object.fromEntries(
        [401, 403, 429].map((status) => [
          String(status),
          { description: reasons[status] ?? "", content: { "application/json": { schema: reference("Error") } } },
        ]),
      ),
    },
  };
}

function describeParameters(place: "path" | "query", schema: z.ZodObject | undefined): JsonObject[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: "input" });
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property as JsonObject;
    return {
      name,
      in: place,
      required: place === "path" || required.includes(name),
      ...(description !== undefined && { description }),
      schema: rest,
    };
  });
}

/** What stands in several answers, under a name of its own. */
const parts = {
  Error: errorReport,
  FailureKind: failureKind,
  Breaker: breakerReport,
  Tier: tierReport,
  RequestUnderWay: flightReport,
  EndedRequest: endedRequest,
  DayTotals: dayTotals,
  Request: requestReport,
  Attempt: attemptReport,
  UsageTotals: usageTotals,
};

function describeSchemas(): JsonObject {
  const answers = new Map<string, z.ZodType>(Object.entries(parts));
  const requests = new Map<string, z.ZodType>();
  for (const { name, answer, body } of all()) {
    answers.set(name, answer);
    if (body !== undefined) requests.set(body.name, body.schema);
  }
  return { ...describeNamed(answers, "output"), ...describeNamed(requests, "input") };
}

/** One that is part of another is referred to by its name there. */
function describeNamed(named: Map<string, z.ZodType>, io: "input" | "output"): JsonObject {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of named) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { io, uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _schema, $id: _id, ...schema }]) => [name, schema as JsonObject]),
  );
}

function reference(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

/** `get /admin/why/{id}` -> `getAdminWhyId`. */
function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z]+/).filter((word) => word !== "");
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}
