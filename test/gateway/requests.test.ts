import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RequestReport } from "../../src/explain/requests.ts";
import { ledgerUsage, streamed } from "../support/answers.ts";
import { json, sse } from "../support/fake-upstream.ts";
import { eventually, makeHome, startTestGateway } from "../support/gateway.ts";
import { madeRow, writeLedger } from "../support/ledger-rows.ts";
import { runClutch } from "../support/run-clutch.ts";

const noon = Date.parse("2026-11-20T12:00:00Z");
const entry = join(import.meta.dir, "../../src/main.ts");

async function listed(home: string, ...args: string[]): Promise<RequestReport[]> {
  const { code, stdout, stderr } = await runClutch(home, ["requests", "list", "--json", ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return (JSON.parse(stdout) as { requests: RequestReport[] }).requests;
}

/** A launch as the crash guard notes it. */
function noteLaunch(home: string, launchId: string, cwd: string): void {
  const record = {
    id: "abc123",
    command: ["xx", "cip"],
    cwd,
    env: {},
    bootId: "b",
    startedAtMs: noon,
    tmuxSession: "s",
    launchId,
  };
  mkdirSync(join(home, "state/launches"), { recursive: true });
  writeFileSync(join(home, "state/launches/abc123.json"), JSON.stringify(record));
}

test("list tells of every request with all its figures, while the gateway serves", async () => {
  await using gateway = await startTestGateway({
    replies: { broken: json({ error: { message: "out of order" } }, 500), good: sse([streamed("chat")]) },
    cascade: ["chat:broken", "other:good"],
  });
  noteLaunch(gateway.home, "k3j9", "/srv/project");
  const headers = { authorization: "Bearer xx-cip-k3j9", "x-claude-code-session-id": "1f3a" };
  const response = await gateway.ask("messages", "claude-opus-5-5", true, { headers });
  await response.text();
  const id = response.headers.get("x-clutch-request-id") ?? "";
  const row = await gateway.request(id);
  const requests = await listed(gateway.home);
  expect(requests).toEqual([
    {
      id,
      started_at: new Date(Number(row["started_at"])).toISOString(),
      agent: "c",
      code: "cip",
      launch_id: "k3j9",
      session: "1f3a",
      folder: "/srv/project",
      model_requested: "claude-opus-5-5",
      served_by: "other:good",
      status: "completed",
      attempts: 2,
      ...ledgerUsage,
      usage_estimated: false,
      cost_usd: null,
      pricing: null,
      price_source: null,
      duration_ms: Number(row["duration_ms"]),
      first_token_ms: Number(row["first_token_ms"]),
      http_status: 200,
      error: null,
      rule: "tier BIG by family",
      tier: row["tier"] as string | null,
      protocol: "messages",
      streamed: true,
      compression: null,
      tokens_before: null,
      tokens_after: null,
    },
  ]);
  expect(await listed(gateway.home, "--agent", "codex")).toEqual([]);
  expect(await listed(gateway.home, "--agent", "codex,claude", "--served-by", "good", "--session", "1f")).toHaveLength(
    1,
  );

  const shown = await runClutch(gateway.home, ["requests", "show", id.slice(0, 10), "--json"]);
  const story = JSON.parse(shown.stdout);
  expect(story.request).toEqual(requests[0]);
  expect(story.attempts).toMatchObject([
    { number: 1, target: "chat:broken", failure_kind: "upstream", http_status: 500, message: "out of order" },
    { number: 2, target: "other:good", failure_kind: null, http_status: null },
  ]);
  const text = await runClutch(gateway.home, ["requests", "show"]);
  expect(text.stdout).toMatch(/folder +\/srv\/project/);
  expect(text.stdout).toContain(`clutch why ${id} tells why it went so`);
});

describe("from a ledger without a gateway", () => {
  async function homeOfThree(): Promise<string> {
    const home = makeHome();
    await writeLedger(home, [
      madeRow(noon, "a", { agent: "c", inputTokens: 10, cacheReadTokens: 90, outputTokens: 5, costUsd: 0.25 }),
      madeRow(noon + 1000, "b", { status: "error", servedBy: null, error: "nobody answered", modelRequested: "=1+1" }),
      madeRow(noon + 2000, "c", { agent: "x", session: "@SUM(A1)", modelRequested: 'x", "y' }),
    ]);
    return home;
  }

  test("list is a table for people", async () => {
    const home = await homeOfThree();
    const { code, stdout } = await runClutch(home, ["requests", "--since", "2026-11-20"]);
    const lines = stdout.trimEnd().split("\n");
    expect([code, lines.length]).toEqual([0, 4]);
    expect(lines[0]?.split(/ {2,}/)).toEqual([
      "id",
      "at",
      "agent",
      "asked for",
      "served by",
      "status",
      "in",
      "out",
      "cost",
      "took",
    ]);
    expect(lines[2]).toContain("error");
    expect(lines[3]?.split(/ {2,}/).slice(2)).toEqual([
      "Claude Code",
      "clutch-big",
      "openrouter:moonshotai/kimi-k2.6:free",
      "completed",
      "100",
      "5",
      "$0.25",
      "-",
    ]);
    expect((await runClutch(home, ["requests", "list", "--agent", "pi"])).stdout).toBe(
      "no request in the ledger is like that\n",
    );
    rmSync(home, { recursive: true });
  });

  test("export writes lines of JSON, the oldest first, page after page", async () => {
    const home = makeHome();
    const rows = Array.from({ length: 2_345 }, (_, at) => madeRow(noon + at, "p"));
    await writeLedger(home, rows);
    const { code, stdout } = await runClutch(home, ["requests", "export"]);
    const ids = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as RequestReport).id);
    expect([code, ids]).toEqual([0, rows.map(({ id }) => id)]);
    const limited = await runClutch(home, ["requests", "export", "--limit", "1001"]);
    expect(limited.stdout.trimEnd().split("\n")).toHaveLength(1001);
    rmSync(home, { recursive: true });
  });

  test("export as CSV runs nothing in a spreadsheet, and is for its owner alone", async () => {
    const home = await homeOfThree();
    const file = join(home, "out.csv");
    const { code, stdout, stderr } = await runClutch(home, ["requests", "export", "--output", file]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: `3 requests written to ${file}\n` });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const lines = readFileSync(file, "utf8").split("\r\n");
    expect(lines[0]?.split(",").slice(0, 8)).toEqual([
      "id",
      "started_at",
      "agent",
      "code",
      "launch_id",
      "session",
      "folder",
      "model_requested",
    ]);
    expect(lines[2]).toContain(",'=1+1,");
    expect(lines[3]).toContain(",'@SUM(A1),");
    expect(lines[3]).toContain(',"x"", ""y",');
    expect(lines).toHaveLength(5);
    rmSync(home, { recursive: true });
  });

  test("a reader that has enough ends an export without a word", async () => {
    const home = makeHome();
    await writeLedger(
      home,
      Array.from({ length: 3_000 }, (_, at) => madeRow(noon + at, "p")),
    );
    const argv = ["/bin/sh", "-c", `"$0" "$1" requests export | head -n 1`, process.execPath, entry];
    const child = Bun.spawn(argv, {
      env: { PATH: process.env["PATH"] ?? "", HOME: home, CLUTCH_HOME: home },
      stdout: "pipe",
      stderr: "pipe",
      timeout: 10_000,
    });
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect({ code, lines: stdout.trimEnd().split("\n").length, stderr }).toEqual({ code: 0, lines: 1, stderr: "" });
    rmSync(home, { recursive: true });
  });

  test.each([
    [["list", "--agent", "cloud"], '--agent is "cloud", which is none: did you mean claude?'],
    [["list", "--status", "done"], '--status is "done", which is none: use pending, completed, error, aborted'],
    [["list", "--errors", "--status", "error"], "--errors and --status say the same: --errors is --status error"],
    [["list", "--limit", "many"], '--limit is "many", which is no number: as in --limit 20'],
    [["list", "--since", "soon"], '--since is "soon", which is no moment'],
    [["lst"], "there is no clutch requests lst: did you mean list?"],
  ])("%p is wrong use", async (args, message) => {
    const home = await homeOfThree();
    const { code, stderr } = await runClutch(home, ["requests", ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    rmSync(home, { recursive: true });
  });

  test("what cannot be shown is said in one line", async () => {
    const home = await homeOfThree();
    const none = await runClutch(home, ["requests", "show", "zzz"]);
    expect([none.code, none.stderr]).toEqual([
      1,
      'clutch: no request in the ledger has the id "zzz": every answer carries its id in x-clutch-request-id; clutch why last tells of the newest\n',
    ]);
    const several = await runClutch(home, ["requests", "show", noon.toString(36).slice(0, 4)]);
    expect([several.code, several.stderr]).toEqual([1, expect.stringContaining("3 requests begin with")]);
    const closed = join(home, "closed");
    mkdirSync(closed);
    writeFileSync(join(closed, "file"), "");
    const noFile = await runClutch(home, ["requests", "export", "--output", join(closed, "file", "x")]);
    expect([noFile.code, noFile.stderr]).toEqual([1, expect.stringContaining("(ENOTDIR)")]);
    chmodSync(closed, 0o700);
    rmSync(home, { recursive: true });
    const empty = makeHome();
    const noLedger = await runClutch(empty, ["requests"]);
    expect([noLedger.code, noLedger.stderr]).toEqual([1, expect.stringContaining("there is no ledger yet")]);
    expect(existsSync(join(empty, "clutch.db"))).toBe(false);
    rmSync(empty, { recursive: true });
  });
});

interface Tail extends AsyncDisposable {
  lines(): string[];
}

function startTail(home: string, ...args: string[]): Tail {
  const child = Bun.spawn([process.execPath, entry, "requests", "tail", ...args], {
    env: { PATH: "", HOME: home, CLUTCH_HOME: home },
    stdout: "pipe",
    stderr: "inherit",
    timeout: 20_000,
  });
  let output = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) output += decoder.decode(chunk, { stream: true });
  })();
  return {
    lines: () => output.split("\n").slice(0, -1),
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

describe("tail", () => {
  test("prints each request as it ends, of a gateway that knows nothing of it", async () => {
    await using gateway = await startTestGateway({
      replies: { good: sse([streamed("chat")]) },
      cascade: ["chat:good"],
    });
    const ask = async (code: string) => {
      const headers = { authorization: `Bearer xx-${code}-k3j9` };
      await (await gateway.ask("messages", "claude-opus-5-5", true, { headers })).text();
    };
    await ask("cip");
    await gateway.onlyRequest();
    await using all = startTail(gateway.home, "--json");
    await using codex = startTail(gateway.home, "--agent", "x", "-n", "0");
    await eventually("the last request so far", () => all.lines().length === 1, 10_000);
    await eventually("the head of the table", () => codex.lines().length === 1, 10_000);
    await ask("xip");
    await eventually("a line for it", () => all.lines().length === 2 && codex.lines().length === 2);
    expect(all.lines().map((line) => (JSON.parse(line) as RequestReport).code)).toEqual(["cip", "xip"]);
    expect(codex.lines()[0]).toStartWith("id ");
    expect(codex.lines()[1]).toContain("Codex");
    expect(gateway.upstream.requests).toHaveLength(2);
  });

  test("goes on with the new ledger when the old one is moved away", async () => {
    const home = makeHome();
    await writeLedger(home, [madeRow(Date.now(), "a")]);
    await using tail = startTail(home, "--json");
    await eventually("the first line", () => tail.lines().length === 1, 10_000);
    for (const end of ["", "-wal", "-shm"]) rmSync(join(home, `clutch.db${end}`), { force: true });
    await writeLedger(home, [madeRow(Date.now(), "b")]);
    await eventually("the new ledger's line", () => tail.lines().length === 2, 5_000);
    expect((JSON.parse(tail.lines()[1] ?? "") as RequestReport).id[8]).toBe("b");
    rmSync(home, { recursive: true });
  });
});
