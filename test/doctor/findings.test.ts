import { describe, expect, test } from "bun:test";
import { buildProviders, keyReader } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { type GatewaySight, judgeChain, judgeGateway, judgeTmux } from "../../src/doctor/chain.ts";
import { judgeConfig } from "../../src/doctor/config.ts";
import { quote } from "../../src/doctor/files.ts";
import { fail, mendAll, ok, reportFindings, runChecks, warn } from "../../src/doctor/finding.ts";
import { judgeClock } from "../../src/doctor/providers.ts";
import type { Member } from "../../src/lifecycle/chain/member.ts";
import type { Json } from "../../src/protocols/chat.ts";

describe("runChecks()", () => {
  test("tells of all in the order of the areas, whatever one of them does", async () => {
    const found = await runChecks(
      [
        { area: "clock", look: () => [ok("clock", "right")] },
        { area: "rtk", look: () => new Promise<never>(() => {}) },
        {
          area: "config",
          look: () => {
            throw new Error("a fault of ours");
          },
        },
        { area: "files", look: async () => [warn("files", "a", "b")] },
      ],
      20,
    );
    expect(found.map(({ area, level, text }) => [area, level, text])).toEqual([
      ["config", "fail", "this could not be looked at: a fault of ours"],
      ["files", "warn", "a"],
      ["rtk", "warn", "this could not be looked at within 0.02 s"],
      ["clock", "ok", "right"],
    ]);
  });
});

test("what could not be mended stays what it was, and says why", () => {
  const broken = () => {
    throw Object.assign(new Error("long words"), { code: "EPERM" });
  };
  const told = mendAll([warn("files", "one", "x", () => "did it"), fail("files", "two", "y", broken), ok("rtk", "z")]);
  expect(reportFindings(told)).toEqual({
    healthy: false,
    faults: 1,
    warnings: 0,
    checks: [
      { area: "files", level: "ok", text: "one", fix: "x", can_fix: true, fixed: "did it" },
      {
        area: "files",
        level: "fail",
        text: "two (it could not be mended: EPERM)",
        fix: "y",
        can_fix: true,
        fixed: null,
      },
      { area: "rtk", level: "ok", text: "z", fix: null, can_fix: false, fixed: null },
    ],
  });
});

describe("judgeClock()", () => {
  const here = { urls: { chat: "http://127.0.0.1:11434/v1/chat/completions" } };
  const far = { urls: { chat: "https://openrouter.ai/api/v1/chat/completions" } };
  const answer = (skewMs: number, provider: typeof here, durationMs = 0) => ({
    check: { clock: { theirs: 1_000_000 + skewMs, ours: 1_000_000 }, durationMs },
    provider,
  });
  test.each([
    ["nobody tells", [], "ok", "no provider told the time"],
    ["it is right", [answer(0, far)], "ok", "agrees with the providers'"],
    ["a slow answer", [answer(-20_000, far, 40_000)], "ok", "agrees with the providers'"],
    ["it is some seconds off", [answer(89_500, far)], "warn", "this machine's clock is 90 s behind by"],
    ["it is minutes off", [answer(-600_000, far)], "fail", "this machine's clock is 10 min ahead by"],
    ["one provider is wrong itself", [answer(-600_000, far), answer(100, far)], "ok", "agrees"],
    ["only a server of this machine agrees", [answer(-600_000, far), answer(0, here)], "fail", "10 min ahead"],
    ["only servers of this machine answer", [answer(0, here)], "ok", "agrees"],
  ])("when %s", (_name, answers, level, text) => {
    const found = judgeClock(answers);
    expect(found.level).toBe(level as typeof found.level);
    expect(found.text).toContain(text);
  });
});

describe("judgeConfig()", () => {
  const judge = (raw: Json, more: object = {}) => {
    const config = parseConfig(raw, "test");
    const providers = buildProviders(
      config,
      keyReader({}, () => undefined),
    );
    const url = "http://127.0.0.1:8082";
    return judgeConfig({
      config,
      path: "/c.json",
      isLegacy: false,
      notices: [],
      urls: { serve: url, launch: url.replace("127.0.0.1", "localhost") },
      routing: { config, providers, tierLetters: {}, quotas: new Map() },
      ...more,
    }).map(({ level, text }) => `${level} ${text}`);
  };

  test("finds nothing wrong with a sound one", () => {
    expect(judge({})).toEqual(["ok /c.json"]);
  });

  test.each([
    [
      "a cascade that leads nowhere",
      { model_tiers: { BIG: { cascade: ["x:m"] } } },
      "warn model_tiers.BIG.cascade names x:m",
    ],
    ["an open door", { server: { host: "0.0.0.0" } }, 'fail server.host is "0.0.0.0", and no key is required'],
  ])("finds %s", (_name, raw, line) => {
    expect(judge(raw)).toEqual([expect.stringContaining(line)]);
  });

  test("finds launches that look elsewhere, the predecessor's file, and settings without effect", () => {
    const urls = { serve: "http://127.0.0.1:8082", launch: "http://127.0.0.1:9000" };
    expect(
      judge(
        {},
        {
          urls,
          isLegacy: true,
          notices: ["/c.json: not in force", "/c.json holds a key and others can read it: chmod 600 /c.json"],
        },
      ),
    ).toEqual([
      "warn /c.json is the predecessor's, read as it is",
      "warn /c.json: not in force",
      "warn launches look for the gateway at http://127.0.0.1:9000, and this config's listens on http://127.0.0.1:8082",
    ]);
  });
});

describe("judgeGateway()", () => {
  test.each<[GatewaySight, boolean, string]>([
    [{ kind: "ours", version: "1", problems: [] }, true, "ok gateway"],
    [{ kind: "ours", version: "0", problems: [] }, true, "warn gateway"],
    [{ kind: "ours", version: "1", problems: ["rows were lost"] }, true, "ok gateway, warn gateway"],
    [{ kind: "other-home", reason: "another home's" }, false, "fail ports"],
    [{ kind: "closed", reason: "refused" }, false, "warn gateway"],
    [{ kind: "foreign", answer: "HTTP 404", holder: "nginx (pid 1)" }, false, "fail ports"],
    [{ kind: "mute", holder: "nc (pid 1)" }, false, "fail ports"],
    [{ kind: "none" }, true, "fail gateway"],
    [{ kind: "none" }, false, "ok gateway"],
  ])("%j with a chain that is up: %p", (sight, isUp, levels) => {
    const found = judgeGateway(sight, "http://127.0.0.1:8082", "1", isUp);
    expect(found.map(({ level, area }) => `${level} ${area}`).join(", ")).toBe(levels);
    for (const { level, fix } of found) expect(level === "ok" || fix !== undefined).toBe(true);
  });
});

describe("judgeChain()", () => {
  const member = (id: string, state: Member["state"]): Member => ({
    id,
    name: id,
    type: "http",
    state,
    isFront: false,
    port: 8787,
    version: undefined,
    pid: undefined,
    startedAtMs: undefined,
    restarts: 0,
    detail: "why",
    hint: "how",
  });
  test.each<[string, Member["state"], boolean, string]>([
    ["db", "ready", true, "ok chain is up: gateway, db"],
    ["db", "stopped", false, "ok chain is not up: clutch up starts it"],
    ["db", "stopped", true, "fail chain db is stopped: why"],
    ["db", "failed", true, "fail chain db is failed: why"],
    ["headroom", "unhealthy", true, "warn headroom headroom is unhealthy: why | ok chain is up: gateway"],
    ["headroom", "foreign", false, "fail ports port 8787 is not headroom's: why | ok chain is not up"],
    ["headroom", "absent", true, "ok chain is up: gateway"],
    ["headroom", "off", true, "ok chain is up: gateway"],
  ])("a %s that is %s, the chain up: %p", (id, state, isUp, text) => {
    const found = judgeChain({ members: [member("gateway", "ready"), member(id, state)], notes: [], isUp });
    expect(found.map((finding) => `${finding.level} ${finding.area} ${finding.text}`).join(" | ")).toStartWith(text);
  });
});

test.each([
  [{ path: undefined, version: undefined, socket: "/s" }, "warn is not on PATH"],
  [{ path: "/t", version: undefined, socket: "/s" }, "fail /t does not tell its version"],
  [{ path: "/t", version: "tmux 3.1c", socket: "/s" }, "warn tmux 3.1c (/t) is older than 3.2"],
  [{ path: "/t", version: "tmux 3.3a", socket: `/${"s".repeat(103)}` }, "fail /sss"],
  [{ path: "/t", version: "tmux 3.3a", socket: "/s" }, "ok tmux 3.3a (/t)"],
])("judgeTmux(%j)", (sight, text) => {
  const found = judgeTmux({ ...sight, install: "get it" });
  expect(found.map((finding) => `${finding.level} ${finding.text}`).join()).toStartWith(text);
});

test.each([
  ["/home/a/.config", "/home/a/.config"],
  ["/home/a b/c", "'/home/a b/c'"],
  ["/it's", "'/it'\\''s'"],
  ["/$(reboot)", "'/$(reboot)'"],
  ["", "''"],
])("quote(%p) is one word of a shell", (path, quoted) => {
  expect(quote(path)).toBe(quoted);
});
