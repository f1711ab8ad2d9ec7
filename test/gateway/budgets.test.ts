import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { parseConfig } from "../../src/config/schema.ts";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { at, whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import {
  buildConfig,
  eventually,
  type GatewaySetup,
  makeHome,
  startTestGateway,
  type TestGateway,
  writeConfig,
} from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";

/** An answer that has cost this much, as OpenRouter says it. */
function paid(costUsd: number) {
  const answer = whole.chat as JsonObject;
  return json({ ...answer, usage: { ...(answer["usage"] as JsonObject), cost: costUsd } });
}

const setup = (budgets: JsonObject, more: Partial<GatewaySetup> = {}): GatewaySetup => ({
  more: ["openrouter"],
  replies: { "v/paid": paid(0.6), "v/free:free": paid(0) },
  cascade: ["openrouter:v/paid", "openrouter:v/free:free"],
  config: { budgets },
  ...more,
});

async function ask(
  gateway: TestGateway,
  protocol: Protocol = "chat",
  headers: Record<string, string> = {},
  stream = false,
) {
  const response = await gateway.ask(protocol, "anything", stream, { headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

const servedBy = ({ headers }: { headers: Headers }) => headers.get("x-clutch-served-by");

async function problems(gateway: TestGateway): Promise<string[]> {
  return ((await (await fetch(`${gateway.url}/health`)).json()) as { problems: string[] }).problems;
}

test("beyond a soft limit free models answer, a header says why, and status and log tell it once", async () => {
  await using gateway = await startTestGateway(setup({ per_day: { soft_usd: 1 } }));
  const answers = [];
  for (let request = 0; request < 4; request++) answers.push(await ask(gateway));
  const free = "openrouter:v/free:free";
  expect(answers.map(servedBy)).toEqual(["openrouter:v/paid", "openrouter:v/paid", free, free]);
  const notes = answers.map(({ headers }) => headers.get("x-clutch-budget"));
  const note = expect.stringMatching(/^soft; usd 1\.2 of 1; per day; resets 2\d{3}-\d\d-\d\dT00:00:00\.000Z$/);
  expect(notes).toEqual([null, null, note, note]);
  const told = gateway.lines.filter((line) => line.includes("budget"));
  expect(told).toEqual([
    expect.stringContaining("today's budget: $1.20 of $1 (budgets.per_day.soft_usd), so only free models"),
  ]);
  expect(await problems(gateway)).toEqual(told);
  const streamed = await ask(gateway, "chat", {}, true);
  expect([streamed.status, streamed.headers.get("x-clutch-budget")]).toEqual([200, note]);
  const story = await (await fetch(`${gateway.url}/admin/why/last`)).text();
  expect(story).toContain("today's budget for paid models is used up ($1.20 of $1)");
});

test("where no free model is left, the refusal says until when", async () => {
  await using gateway = await startTestGateway(
    setup({ per_day: { soft_usd: 0.5 } }, { cascade: ["openrouter:v/paid"] }),
  );
  expect((await ask(gateway)).status).toBe(200);
  const refused = await ask(gateway);
  expect(refused.status).toBe(402);
  expect(refused.text).toContain("not asked, its price is unknown, and today's budget for paid models is used up");
  expect(refused.text).toMatch(/\(back in \d+ (?:h|min|s)\)/);
  expect(refused.headers.get("retry-after")).toBeNull();
});

describe("beyond a hard limit", () => {
  const envelopes: [Protocol, JsonObject][] = [
    ["messages", { type: "error", error: { type: "billing_error" } }],
    ["chat", { error: { type: "insufficient_quota", code: "insufficient_quota" } }],
    ["responses", { error: { type: "insufficient_quota", code: "insufficient_quota" } }],
  ];
  test.each(envelopes)(
    "%s clients are told which, how much was used and when it begins anew",
    async (protocol, envelope) => {
      await using gateway = await startTestGateway(setup({ per_agent: { claude: { hard_requests: 1 } } }));
      const claude = { "user-agent": "claude-cli/2.1" };
      expect((await ask(gateway, protocol, claude)).status).toBe(200);
      for (const stream of [false, true]) {
        const refused = await ask(gateway, protocol, claude, stream);
        expect(refused.status).toBe(402);
        const body = JSON.parse(refused.text) as JsonObject;
        expect(body).toMatchObject(envelope);
        expect(at(body, "error", "message")).toMatch(
          /^today's budget of Claude Code is used up: 1 of 1 requests \(budgets\.per_agent\.claude\.hard_requests\)\. It begins anew at 2\d{3}-\d\d-\d\d 00:00 UTC; until then, raise the limit\.$/,
        );
        expect(refused.headers.get("x-clutch-budget")).toMatch(/^hard; requests 1 of 1; per agent; resets /);
        // Codex and OpenCode would sleep until then.
        expect(refused.headers.get("retry-after")).toBeNull();
      }
      expect(gateway.upstream.requests).toHaveLength(1);
      // Others have a budget of their own.
      expect((await ask(gateway, protocol, { "user-agent": "codex/1" })).status).toBe(200);
    },
  );

  test("a burst gets no more requests than there are", async () => {
    await using gateway = await startTestGateway(setup({ per_day: { hard_requests: 5 } }));
    const statuses = await Promise.all(Array.from({ length: 16 }, async () => (await ask(gateway)).status));
    expect(statuses.toSorted()).toEqual([...Array<number>(5).fill(200), ...Array<number>(11).fill(402)]);
    expect(gateway.upstream.requests).toHaveLength(5);
  });

  test("what is refused for its body is not counted", async () => {
    await using gateway = await startTestGateway(setup({ per_day: { hard_requests: 1 } }));
    for (let at = 0; at < 3; at++) {
      const bad = await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", body: '{"model":"x"' });
      expect(bad.status).toBe(400);
    }
    expect((await ask(gateway)).status).toBe(200);
    expect((await ask(gateway)).status).toBe(402);
  });

  test("a restart forgets nothing: day, agent, session and key", async () => {
    const home = makeHome();
    const limits = {
      per_day: { hard_requests: 6 },
      per_agent: { codex: { hard_requests: 2 } },
      per_session: { hard_usd: 1 },
    };
    const codex = { "user-agent": "codex/1" };
    const session = { "x-session-id": "s1" };
    {
      await using gateway = await startTestGateway(setup(limits, { home }));
      for (const headers of [codex, codex, session, session])
        expect((await ask(gateway, "chat", headers)).status).toBe(200);
    }
    await using gateway = await startTestGateway(setup(limits, { home }));
    const refused = [await ask(gateway, "chat", codex), await ask(gateway, "chat", session)];
    expect(refused.map(({ status }) => status)).toEqual([402, 402]);
    expect(refused[0]?.text).toContain("today's budget of Codex is used up: 2 of 2 requests");
    expect(refused[1]?.text).toContain("this session's budget is used up: $1.20 of $1");
    expect((await ask(gateway)).status).toBe(200);
    expect((await ask(gateway)).status).toBe(200);
    expect((await ask(gateway)).text).toContain("today's budget is used up: 6 of 6 requests");
    await gateway.stop(0);
    rmSync(home, { recursive: true });
  });

  test("a limit that is set while it runs counts what was used before", async () => {
    await using gateway = await startTestGateway(setup({}));
    const session = { "x-session-id": "s1" };
    expect((await ask(gateway, "chat", session)).status).toBe(200);
    await eventually("the row", () => gateway.requests()[0]?.["status"] === "completed");
    const limits = { per_day: { soft_requests: 1 }, per_session: { hard_requests: 1 } };
    const config = parseConfig(buildConfig(gateway.upstream.port, setup(limits)), "test");
    await gateway.gateway.reload({ config, path: undefined, notices: [] }, { tierLetters: {} });
    expect((await ask(gateway, "chat", session)).text).toContain("this session's budget is used up: 1 of 1 requests");
    expect(servedBy(await ask(gateway))).toBe("openrouter:v/free:free");
  });

  test("another limit forgets nothing of what was counted, where the ledger is off too", async () => {
    const off = (budgets: JsonObject) => ({ ...setup(budgets), config: { budgets, ledger: { enabled: false } } });
    const limits = { per_day: { hard_requests: 1 }, per_session: { hard_requests: 5 } };
    await using gateway = await startTestGateway(off(limits));
    const session = { "session-id": "s1" };
    expect((await ask(gateway, "chat", session)).status).toBe(200);
    const reload = async (budgets: JsonObject) => {
      const config = parseConfig(buildConfig(gateway.upstream.port, off(budgets)), "test");
      await gateway.gateway.reload({ config, path: undefined, notices: [] }, { tierLetters: {} });
    };
    await reload({ ...limits, per_day: { hard_requests: 1, hard_tokens: 1e9 } });
    expect((await ask(gateway, "chat", session)).text).toContain("today's budget is used up: 1 of 1 requests");
    await reload({ per_session: { hard_requests: 1 } });
    expect((await ask(gateway, "chat", session)).text).toContain("this session's budget is used up: 1 of 1 requests");
  });

  test("one session's end is no other's, whether a launch or the agent names it", async () => {
    await using gateway = await startTestGateway(setup({ per_session: { hard_requests: 1 } }));
    const launch = (id: string) => ({ authorization: `Bearer xx-xip-${id}` });
    for (const headers of [launch("one"), launch("two"), { "session-id": "three" }]) {
      expect((await ask(gateway, "chat", headers)).status).toBe(200);
      const refused = await ask(gateway, "chat", headers);
      expect(refused.status).toBe(402);
      expect(refused.text).toContain("It does not begin anew: start another session, or raise the limit");
    }
    // Whoever tells of no session has none to be counted in.
    for (let request = 0; request < 3; request++) expect((await ask(gateway)).status).toBe(200);
  });
});

describe("clutch budgets", () => {
  test("tells how much is used, by the gateway or by its ledger", async () => {
    const home = makeHome();
    const limits = {
      per_day: { soft_usd: 0.5, hard_requests: 9 },
      per_agent: { codex: { hard_requests: 1 } },
      per_session: { hard_usd: 9 },
    };
    const rows = [
      ["the day", "free models only", "$0.60 (free from $0.5), 1 requests (end at 9)"],
      ["Codex", "refused", "1 requests (end at 1)"],
      ["session s1", "ok", "$0.60 (end at $9)"],
    ];
    const shown = (text: string) =>
      text
        .split("\n")
        .slice(1, 4)
        .map((line) => line.split(/ {2,}/).slice(0, 3));
    let told: { budgets: JsonObject[] };
    {
      await using gateway = await startTestGateway(setup(limits, { home }));
      await ask(gateway, "chat", { "user-agent": "codex/1", "x-session-id": "s1" });
      const env = { CLUTCH_PORT: new URL(gateway.url).port };
      const table = await runClutch(home, ["budgets"], env);
      expect([table.code, shown(table.stdout)]).toEqual([0, rows]);
      told = JSON.parse((await runClutch(home, ["budgets", "--json"], env)).stdout);
      expect(told).toMatchObject({
        source: "gateway",
        budgets: [{ state: "soft" }, { name: "codex", state: "hard" }, { scope: "session", resets_at: null }],
      });
    }
    writeConfig(home, { budgets: limits });
    const offline = JSON.parse((await runClutch(home, ["budgets", "--json"], { CLUTCH_PORT: "1" })).stdout);
    expect(offline).toEqual({ budgets: told.budgets, source: "ledger" });
    rmSync(home, { recursive: true });
  });

  test("says so where nothing is limited, and nothing has been used yet", async () => {
    const home = makeHome();
    const none = await runClutch(home, ["budgets"], { CLUTCH_PORT: "1" });
    expect([none.code, none.stdout.split("\n")[0]]).toEqual([0, "nothing is limited: see budgets in the config"]);
    writeConfig(home, { budgets: { daily_usd: 2 } });
    const some = await runClutch(home, ["budgets"], { CLUTCH_PORT: "1" });
    expect(some.stdout).toMatch(/^budget +state +used +begins anew\nthe day +ok +\$0\.00 \(free from \$2\) +\S/);
    rmSync(home, { recursive: true });
  });
});
