import { beforeAll, describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020";
import { openApi } from "../../src/gateway/openapi.ts";
import type { Json, JsonObject } from "../../src/protocols/chat.ts";
import { at, whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { type GatewaySetup, startTestGateway, type TestGateway } from "../support/gateway.ts";

interface Operation {
  method: string;
  path: string;
  operationId: string;
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: Json; example: JsonObject }> };
  responses: Record<string, { content: Record<string, { schema: JsonObject }> }>;
}

const document = openApi();

const operations = Object.entries(document["paths"] as unknown as Record<string, Record<string, Operation>>).flatMap(
  ([path, rows]) => Object.entries(rows).map(([method, row]): Operation => ({ ...row, method, path })),
);

/** Somebody else's reading of JSON Schema 2020-12, with everything that it calls doubtful taken for wrong. */
const ajv = new Ajv({
  strict: true,
  strictRequired: false,
  strictTypes: false,
  allErrors: true,
  formats: { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, date: /^\d{4}-\d\d-\d\d$/ },
});

function check(schema: JsonObject, value: unknown): string[] {
  const validate = ajv.getSchema(`document${String(schema["$ref"])}`);
  if (validate === undefined) throw new Error(`no schema ${JSON.stringify(schema)}`);
  return validate(value)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

beforeAll(() => {
  // Its schemas are what counts; the rest is the other validator's.
  ajv.addVocabulary(["openapi", "info", "servers", "tags", "security", "paths", "components"]);
  ajv.addSchema(document, "document");
});

describe("/openapi.json", () => {
  test("is accepted by a validator from elsewhere, which can tell a broken one", async () => {
    await using gateway = await startTestGateway({ replies: {} });
    const served = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as JsonObject;
    expect(served).toEqual(document);
    const validator = new Validator();
    expect(await validator.validate(structuredClone(served))).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
    const broken = structuredClone(served) as { paths: Record<string, { get: { responses: Json } }> };
    Object.assign(broken.paths["/livez"]?.get ?? {}, { responses: 200 });
    expect((await new Validator().validate(broken)).valid).toBe(false);
  });

  test("names each operation once, and describes each parameter of its path", () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, parameters = [] } of operations) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
      expect([path, parameters.filter((one) => one.in === "path").map(({ name }) => name)]).toEqual([path, named]);
    }
  });

  test.each(operations.filter(({ requestBody }) => requestBody !== undefined))(
    "the example of $method $path is one",
    ({ requestBody }) => {
      const { schema, example } = requestBody?.content["application/json"] ?? { schema: {}, example: {} };
      expect(check(schema as JsonObject, example)).toEqual([]);
      expect(check(schema as JsonObject, { ...example, unheard_of: 1 })).not.toEqual([]);
    },
  );
});

const setup: GatewaySetup = {
  replies: {
    limited: json({ error: { message: "slow down" } }, 429, { "retry-after": "120" }),
    good: json(whole.chat),
  },
  cascade: ["chat:limited", "other:good"],
  config: {
    quotas: { "other:good": { max_requests_per_minute: 10 } },
    budgets: { per_day: { soft_usd: 9 }, per_agent: { claude: { hard_requests: 9 } }, per_session: { hard_tokens: 9 } },
  },
};

/** In an order in which each finds what it is about. */
function calls(gateway: TestGateway): { operation: Operation; path: string; body?: JsonObject }[] {
  const isLate = ({ path }: Operation) => /revoke|rotate/.test(path);
  const order = [...operations.filter((one) => !isLate(one)), ...operations.filter(isLate).reverse()];
  return order.map((operation) => {
    const example = operation.requestBody?.content["application/json"]?.example;
    const path = gateway.url + operation.path.replace("{id}", "last");
    return { operation, path, ...(example !== undefined && { body: example }) };
  });
}

const asJson = { "content-type": "application/json" };

describe("what is served", () => {
  test("is what is described, operation by operation", async () => {
    await using gateway = await startTestGateway({ ...setup, reloadConfig: async () => ["budgets"] });
    const headers = { "user-agent": "claude-cli/2.1", "x-claude-code-session-id": "s1" };
    for (const stream of [false, true]) await (await gateway.ask("messages", "anything", stream, { headers })).text();
    const texts = new Set<string>();
    let newest = "";
    for (const { operation, path, body } of calls(gateway)) {
      // By its name there are two after the rotation: the old one is good for another day.
      const sent = path.endsWith("/revoke") ? { key: newest } : body;
      const init = sent === undefined ? {} : { method: "POST", headers: asJson, body: JSON.stringify(sent) };
      const response = await fetch(path + (path.endsWith("/status") ? "?recent=5" : ""), init);
      expect([operation.operationId, response.status]).toEqual([operation.operationId, 200]);
      const type = response.headers.get("content-type")?.split(";")[0] ?? "";
      const schema = operation.responses["200"]?.content[type]?.schema;
      expect([operation.operationId, schema === undefined]).toEqual([operation.operationId, false]);
      if (schema?.["$ref"] === undefined) continue;
      const text = await response.text();
      expect([operation.operationId, ...check(schema, JSON.parse(text))]).toEqual([operation.operationId]);
      texts.add(text);
      if (path.endsWith("/rotate")) newest = String(at(JSON.parse(text), "about", "id"));
    }
    // Something stood in them: what is out of order, who was left, a budget, a key.
    const all = [...texts].join("\n");
    for (const word of [
      "model:chat:limited",
      '"left":[{',
      '"scope":"session","name":"s1"',
      "clutch-",
      '"changed":["budgets"]',
    ])
      expect(all).toContain(word);
  });

  test("refuses as it is described, in the envelope that is described", async () => {
    await using gateway = await startTestGateway(setup);
    const refusals: [operationId: string, path: string, body: JsonObject | undefined, status: number, says: string][] =
      [
        ["getAdminStatus", "/admin/status?recent=many", undefined, 400, "recent: must be a whole number"],
        ["getAdminRequests", "/admin/requests?limit=0", undefined, 400, "limit: "],
        ["getAdminRequests", "/admin/requests?status=odd", undefined, 400, "status: "],
        ["getAdminUsage", "/admin/usage?by=colour", undefined, 400, "by: "],
        ["getAdminUsage", "/admin/usage?period=2026-02-30", undefined, 400, "is no day: write today"],
        ["getAdminWhyId", "/admin/why/nope", undefined, 404, 'no single request has the id "nope"'],
        ["getAdminRequestsId", "/admin/requests/%27%20OR%201=1", undefined, 404, "no single request has the id"],
        ["postAdminKeysRevoke", "/admin/keys/revoke", { key: "nobody" }, 404, 'there is no key "nobody"'],
        [
          "postAdminKeys",
          "/admin/keys",
          { name: 1 },
          400,
          'send JSON such as {"name":"laptop","agents":["claude"]}: name: ',
        ],
        ["postAdminReload", "/admin/reload", {}, 404, "this gateway follows no config file"],
      ];
    for (const [operationId, path, body, status, says] of refusals) {
      const init = body === undefined ? {} : { method: "POST", headers: asJson, body: JSON.stringify(body) };
      const response = await fetch(gateway.url + path, init);
      const answer = (await response.json()) as JsonObject;
      expect([path, response.status, at(answer, "error", "message")]).toEqual([
        path,
        status,
        expect.stringContaining(says),
      ]);
      const operation = operations.find((one) => one.operationId === operationId);
      const schema = operation?.responses[String(status)]?.content["application/json"]?.schema;
      expect([path, check(schema ?? {}, answer)]).toEqual([path, []]);
    }
  });

  test("/admin/requests and /admin/usage tell what the commands tell", async () => {
    await using gateway = await startTestGateway(setup);
    const ids: (string | null)[] = [];
    for (const agent of ["claude-cli/2", "codex/1", "codex/1"]) {
      const response = await gateway.ask("chat", "anything", false, { headers: { "user-agent": agent } });
      await response.text();
      ids.unshift(response.headers.get("x-clutch-request-id"));
    }
    const get = async (path: string) => (await (await fetch(gateway.url + path)).json()) as JsonObject;
    const idsOf = async (query: string) =>
      ((await get(`/admin/requests${query}`))["requests"] as { id: string }[]).map(({ id }) => id);
    expect(await idsOf("")).toEqual(ids as string[]);
    expect(await idsOf("?agent=x&limit=1")).toEqual([ids[0] ?? ""]);
    expect(await idsOf("?status=error")).toEqual([]);
    const usage = await get("/admin/usage?by=agent");
    expect(usage).toMatchObject({ by: "agent", totals: { requests: 3 } });
    expect((usage["rows"] as JsonObject[]).map(({ agent, requests }) => [agent, requests]).toSorted()).toEqual([
      ["c", 1],
      ["x", 2],
    ]);
    expect(await get(`/admin/requests/${ids[0]}`)).toMatchObject({
      request: { id: ids[0] },
      attempts: [{ number: 1 }],
    });
  });
});
