import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { KeyList, NewKeyReport, RotatedKeyReport } from "../../src/gateway/key-schemas.ts";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { at, whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { type GatewaySetup, makeHome, startTestGateway, type TestGateway } from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";

const secret = "launch-secret";

const setup: GatewaySetup = {
  replies: { good: json(whole.chat), "v/kept:free": json(whole.chat), "v/dear": json(whole.chat) },
  cascade: ["chat:good"],
  config: { server: { port: 0, require_key: true } },
  launchSecret: secret,
};

async function admin<Report>(gateway: TestGateway, path: string, body?: JsonObject): Promise<Report> {
  const response = await fetch(`${gateway.url}/admin${path}`, {
    ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
    headers: { "content-type": "application/json", authorization: `Bearer ${secret}` },
  });
  return (await response.json()) as Report;
}

const create = (gateway: TestGateway, body: JsonObject) => admin<NewKeyReport>(gateway, "/keys", body);
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

async function ask(
  gateway: TestGateway,
  key: string,
  model = "anything",
  protocol: Protocol = "chat",
  body?: JsonObject,
) {
  const response = await gateway.ask(protocol, model, false, { headers: bearer(key), ...(body && { body }) });
  const answer = (await response.json()) as JsonObject;
  return { status: response.status, message: at(answer, "error", "message") as string, answer, response };
}

describe("a key of the gateway's own", () => {
  test("opens it, stands in the ledger by its id, and is revoked in the same moment", async () => {
    await using gateway = await startTestGateway(setup);
    expect((await ask(gateway, "wrong")).status).toBe(401);
    const { key, about } = await create(gateway, { name: "laptop" });
    expect(about).toMatchObject({ name: "laptop", state: "valid", agents: null, models: null, budget: null });
    const { status, response } = await ask(gateway, key);
    expect(status).toBe(200);
    const row = await gateway.request(response.headers.get("x-clutch-request-id"));
    expect(row).toMatchObject({ key_id: about.id, status: "completed" });
    const { keys } = await admin<KeyList>(gateway, "/keys");
    expect(keys).toMatchObject([{ id: about.id, state: "valid" }]);
    expect(keys[0]?.last_used_at).not.toBeNull();
    expect(await admin(gateway, "/keys/revoke", { key: "laptop" })).toMatchObject({ id: about.id, state: "revoked" });
    const refused = await ask(gateway, key);
    expect([refused.status, refused.message]).toEqual([
      401,
      expect.stringContaining(`laptop (${about.id}) was revoked`),
    ]);
    expect((await fetch(`${gateway.url}/v1/models`, { headers: bearer(key) })).status).toBe(401);
    // Neither in what upstreams see nor in what anybody is told.
    const told = JSON.stringify([gateway.upstream.requests, gateway.lines, keys, gateway.requests()]);
    expect(told).not.toContain(key.slice(16));
  });

  test("is refused in the caller's own protocol", async () => {
    await using gateway = await startTestGateway(setup);
    const envelopes: [Protocol, JsonObject][] = [
      ["messages", { type: "error", error: { type: "authentication_error" } }],
      ["chat", { error: { type: "authentication_error", code: "invalid_api_key" } }],
      ["responses", { error: { type: "authentication_error", code: "invalid_api_key" } }],
    ];
    for (const [protocol, envelope] of envelopes) {
      const { status, answer } = await ask(gateway, `clutch-22222222-${"a".repeat(43)}`, "anything", protocol);
      expect([protocol, status]).toEqual([protocol, 401]);
      expect(answer).toMatchObject(envelope);
    }
    expect(gateway.upstream.requests).toEqual([]);
  });

  test("is rotated without a gap where that is wanted", async () => {
    await using gateway = await startTestGateway(setup);
    const first = await create(gateway, { name: "ci" });
    const second = await admin<RotatedKeyReport>(gateway, "/keys/rotate", { key: "ci", grace_seconds: 60 });
    expect(second.about).toMatchObject({ name: "ci", state: "valid" });
    expect(second.replaces).toMatchObject({ id: first.about.id, state: "valid" });
    const third = await admin<RotatedKeyReport>(gateway, "/keys/rotate", { key: second.about.id });
    const statuses = await Promise.all([first, second, third].map(async ({ key }) => (await ask(gateway, key)).status));
    expect(statuses).toEqual([200, 401, 200]);
  });

  test("is good for its models alone: others are skipped, and where none is left it says so", async () => {
    await using gateway = await startTestGateway({ ...setup, cascade: ["chat:v/dear", "chat:v/kept:free"] });
    const { key, about } = await create(gateway, { name: "guest", models: ["*:free"] });
    const { response } = await ask(gateway, key);
    expect(response.headers.get("x-clutch-served-by")).toBe("chat:v/kept:free");
    const dear = await ask(gateway, key, "chat:v/dear");
    expect([dear.status, at(dear.answer, "error", "type")]).toEqual([403, "permission_error"]);
    expect(dear.message).toContain(`chat:v/dear: not asked, the key guest (${about.id}) is for *:free alone`);
    const own = await ask(gateway, key, "chat:v/kept:free", "chat", { models: ["v/dear"] });
    expect([own.status, own.message]).toEqual([403, expect.stringContaining("may not bring models of its own")]);
    expect(gateway.upstream.models()).toEqual(["v/kept:free"]);
    const listed = (await (await fetch(`${gateway.url}/v1/models`, { headers: bearer(key) })).json()) as JsonObject;
    const ids = (listed["data"] as { id: string }[]).map(({ id }) => id);
    expect(ids).toContain("clutch-big");
    expect(ids).toContain("chat:v/kept:free");
    expect(ids).not.toContain("chat:v/dear");
    // The launch of the user is under no such limit.
    expect((await ask(gateway, `xx-cip-k3j9-${secret}`, "chat:v/dear")).status).toBe(200);
  });

  test("a model that stands twice in a request is asked for once", async () => {
    await using gateway = await startTestGateway({ ...setup, cascade: ["chat:v/kept:free"] });
    const { key } = await create(gateway, { name: "guest", models: ["*:free"] });
    for (const filler of ["", "x".repeat(20_000)]) {
      const twice = `{"model":"clutch-big","messages":[{"role":"user","content":"hi${filler}"}],"model":"clutch-big"}`;
      const headers = { "content-type": "application/json", ...bearer(key) };
      const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", headers, body: twice });
      expect(response.status).toBe(200);
    }
    for (const { body } of gateway.upstream.requests) {
      expect(JSON.stringify(body)).not.toContain("clutch-big");
      expect(at(body, "model")).toBe("v/kept:free");
    }
    expect(gateway.upstream.requests).toHaveLength(2);
  });

  test("wrong ones have to wait after a while, and right ones go on", async () => {
    await using gateway = await startTestGateway(setup);
    const { key } = await create(gateway, { name: "laptop" });
    const statuses: number[] = [];
    let last: Response | undefined;
    for (let guess = 0; guess < 14; guess++) {
      const refused = await ask(gateway, `clutch-22222222-${String(guess).padStart(43, "a")}`);
      statuses.push(refused.status);
      last = refused.response;
    }
    expect(statuses).toEqual([...Array<number>(10).fill(401), ...Array<number>(4).fill(429)]);
    expect(last?.headers.get("retry-after")).toBe("1");
    expect((await ask(gateway, key)).status).toBe(200);
    expect(gateway.lines).toContain("127.0.0.1 has sent 10 wrong keys: it has to wait between them");
  });

  test("bad requests for one are told apart", async () => {
    await using gateway = await startTestGateway(setup);
    await create(gateway, { name: "ci" });
    const cases: [path: string, body: JsonObject, says: string][] = [
      ["/keys", {}, "name"],
      ["/keys", { name: " " }, "name"],
      ["/keys", { name: "a\nb" }, "must have no control characters"],
      ["/keys", { name: "ci" }, 'there is a key named "ci" already'],
      ["/keys", { name: "x", agents: ["clippy"] }, "agents"],
      ["/keys", { name: "x", budget: { hard_usd: -1 } }, "budget"],
      ["/keys", { name: "x", expires_at: "2001-01-01T00:00:00Z" }, "which is past"],
      ["/keys", { name: "x", scope: "all" }, "scope"],
      ["/keys/revoke", { key: "nobody" }, 'there is no key "nobody"'],
      ["/keys/rotate", { key: "ci", grace_seconds: 0.5 }, "grace_seconds"],
    ];
    for (const [path, body, says] of cases) {
      const answer = await admin<JsonObject>(gateway, path, body);
      expect(at(answer, "error", "message")).toContain(says);
    }
    expect((await admin<KeyList>(gateway, "/keys")).keys).toHaveLength(1);
  });
});

describe("clutch keys", () => {
  const environment = (gateway: TestGateway) => ({ CLUTCH_PORT: new URL(gateway.url).port });

  test("asks the running gateway, which goes by it at once", async () => {
    // No key is required here, so that commands need none; a key of ours is held to its word all the same.
    await using gateway = await startTestGateway({ ...setup, config: {} });
    const env = environment(gateway);
    const made = await runClutch(
      gateway.home,
      [
        "keys",
        "create",
        "lap top",
        "--agents",
        "claude,x",
        "--models",
        "*:free",
        "chat:good",
        "--budget",
        "usd=5",
        "requests=100",
        "--soft-budget",
        "usd=4",
        "--expires",
        "30d",
      ],
      env,
    );
    expect([made.code, made.stderr]).toEqual([
      0,
      expect.stringMatching(/^lap top \(\w{8}\): shown this once, and only its hash is kept\n$/),
    ]);
    const key = made.stdout.trim();
    const listed = JSON.parse((await runClutch(gateway.home, ["keys", "list", "--json"], env)).stdout) as KeyList;
    expect(listed.keys).toMatchObject([
      {
        id: key.slice(7, 15),
        name: "lap top",
        state: "valid",
        agents: ["claude", "codex"],
        models: ["*:free", "chat:good"],
        budget: { hard_usd: 5, hard_requests: 100, soft_usd: 4 },
        last_used_at: null,
      },
    ]);
    const days = (Date.parse(listed.keys[0]?.expires_at ?? "") - Date.now()) / 86_400_000;
    expect(days).toBeCloseTo(30, 2);
    const headers = { ...bearer(key), "user-agent": "claude-cli/2.1" };
    expect((await gateway.ask("messages", "anything", false, { headers })).status).toBe(200);
    const table = await runClutch(gateway.home, ["keys"], env);
    expect(table.stdout.split("\n")[0]).toMatch(/^key +name +state +agents +models +a day +expires +last used$/);
    expect(table.stdout).toMatch(
      /\nclutch-\w{8}-… +lap top +valid +claude, codex +\*:free, chat:good +\$5, 100 requests, only free models from \$4 +2\d{3}-\d\d-\d\d \d\d:\d\d UTC +\d\d:\d\d:\d\d UTC\n$/,
    );
    const revoked = await runClutch(gateway.home, ["keys", "revoke", "lap top"], env);
    expect([revoked.code, revoked.stdout]).toEqual([
      0,
      `lap top (${key.slice(7, 15)}) is revoked: nothing is answered to it any more\n`,
    ]);
    expect((await gateway.ask("messages", "anything", false, { headers })).status).toBe(401);
    const missed = await runClutch(gateway.home, ["keys", "revoke", "nobody"], env);
    expect([missed.code, missed.stderr]).toEqual([1, 'clutch: there is no key "nobody": see clutch keys list\n']);
  });

  test("does without a gateway, and the next one knows", async () => {
    const home = makeHome();
    const empty = await runClutch(home, ["keys"], { CLUTCH_PORT: "1" });
    expect([empty.code, empty.stdout.split("\n")[0]]).toEqual([0, "no keys yet: clutch keys create NAME makes one"]);
    const made = await runClutch(home, ["keys", "create", "ci", "--json"], { CLUTCH_PORT: "1" });
    const { key, about } = JSON.parse(made.stdout) as NewKeyReport;
    expect(about).toMatchObject({ name: "ci", state: "valid" });
    const rotated = await runClutch(home, ["keys", "rotate", "ci", "--grace", "1h"], { CLUTCH_PORT: "1" });
    expect(rotated.stderr).toMatch(new RegExp(`\nthe old one \\(${about.id}\\) is good until 2\\d{3}-`));
    {
      await using gateway = await startTestGateway({ ...setup, home });
      const statuses = [key, rotated.stdout.trim()].map(async (one) => (await ask(gateway, one)).status);
      expect(await Promise.all(statuses)).toEqual([200, 200]);
      // It cannot be asked at that port, and nobody writes behind its back.
      const beside = await runClutch(home, ["keys", "revoke", "ci"], { CLUTCH_PORT: "1" });
      expect([beside.code, beside.stderr]).toEqual([1, expect.stringContaining("a gateway runs, but cannot be asked")]);
      // To look is no harm.
      const listed = await runClutch(home, ["keys", "--json"], { CLUTCH_PORT: "1" });
      expect((JSON.parse(listed.stdout) as KeyList).keys.map(({ name, state }) => [name, state])).toEqual([
        ["ci", "valid"],
        ["ci", "valid"],
      ]);
    }
    rmSync(home, { recursive: true });
  });

  test.each<[args: string[], says: string]>([
    [["create"], "missing required argument 'name'"],
    [["create", "a\nb"], "clutch: name: must have no control characters: see clutch keys --help\n"],
    [["create", "x".repeat(65)], "clutch: name: "],
    [["rotate", "x", "--grace", "500d"], "clutch: grace_seconds: "],
    [["create", "x", "--agents", "claud"], '--agents has "claud", which is no agent: did you mean claude?'],
    [
      ["create", "x", "--budget", "5"],
      '--budget has "5", which is no limit: write usd=5, tokens=2000000 or requests=100',
    ],
    [["create", "x", "--budget", "requests=1.5"], '--budget has "requests=1.5", which is no limit'],
    [["create", "x", "--soft-budget", "usd=-1"], '--soft-budget has "usd=-1", which is no limit'],
    [["create", "x", "--expires", "soon"], '--expires is "soon", which is no time: write 30d'],
    [["create", "x", "--expires", "2001-01-01"], "which is past: give a later time"],
    [["rotate", "x", "--grace", "1"], '"1" is no span of time: write 90m, 24h, 30d or 4w'],
    [["lsit"], "there is no clutch keys lsit: did you mean list?"],
  ])("keys %j: %s", async (args, says) => {
    const home = makeHome();
    const { code, stderr } = await runClutch(home, ["keys", ...args], { CLUTCH_PORT: "1" });
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
    rmSync(home, { recursive: true });
  });
});
