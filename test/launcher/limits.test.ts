import { describe, expect, test } from "bun:test";
import { namesRoute, parseLaunchCode } from "../../launcher/code.ts";
import { smallestLimits } from "../../launcher/limits.ts";
import { buildLaunch, goesToAnthropic, type LaunchRequest, type LaunchWorld } from "../../launcher/plan.ts";
import { readLauncherSettings } from "../../launcher/settings.ts";
import { readModelSnapshot } from "../../providers/model-snapshot.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { plainWorld } from "../support/launch-world.ts";

const usd = [0, 0, 0, 0];
const catalogue = {
  openrouter: {
    "v/wide": { context: 1_000_000, output: 128_000, usd },
    "v/middle": { context: 200_000, output: 64_000, usd },
    "v/small": { context: 40_000, output: 40_000, usd },
  },
  anthropic: { opus: { context: 1_000_000, output: 128_000, usd } },
  ollama: {
    "qwen3:8b": { context: 32_768, output: 32_768, maxContext: 40_960 },
    "idle:latest": { maxContext: 40_960 },
    vast: { maxContext: 1_000_000 },
  },
};
const names = { isProvider: (id: string) => id in catalogue, defaultProvider: "openrouter" };

describe("smallestLimits()", () => {
  test.each([
    ["the smallest window and the smallest output", ["v/wide", "v/middle"], 200_000, 50_000],
    ["an output that leaves room for the conversation", ["v/small"], 40_000, 10_000],
    ["no more output than an agent can use", ["v/wide"], 1_000_000, 65_536],
    ["a free variant as its model", ["v/wide:free"], 1_000_000, 65_536],
    ["a model at its own provider", ["anthropic:opus", "v/wide"], 1_000_000, 65_536],
    ["what most models have, for one that is not known", ["v/wide", "v/unknown"], 131_072, 32_768],
    ["what a local model is served with", ["ollama:qwen3:8b"], 32_768, 8_192],
    ["what it was trained for at most, where nobody tells", ["ollama:idle"], 40_960, 10_240],
    ["and no more than most have", ["ollama:vast"], 131_072, 32_768],
    ["the same for none at all", [""], 131_072, 32_768],
  ])("gives %s", (_why, models, contextTokens, outputTokens) => {
    expect(smallestLimits(models, names, catalogue)).toEqual({ contextTokens, outputTokens });
  });

  test("knows the models of the built-in tiers", () => {
    const builtIn = ["moonshotai/kimi-k2.6:free", "openai/gpt-oss-120b:free", "deepseek/deepseek-v4-flash:free"];
    const snapshot = readModelSnapshot();
    const own = { isProvider: (id: string) => id in snapshot, defaultProvider: "openrouter" };
    expect(smallestLimits(builtIn, own, snapshot).contextTokens).toBe(131_072);
    expect(smallestLimits(builtIn.slice(0, 1), own, snapshot).contextTokens).toBe(262_144);
  });
});

const world: LaunchWorld = { ...plainWorld, catalogue };

const tiers = {
  BIG: { default: "v/wide", cascade: ["v/middle"] },
  MIDDLE: { default: "v/small" },
  SMALL: { default: "v/small" },
};

function plan(code: string, request: Partial<LaunchRequest> = {}, config: JsonObject = { model_tiers: tiers }) {
  const whole = { code: parseLaunchCode(code), namesRoute: namesRoute(code), isSafe: true, rest: [], ...request };
  const settings = readLauncherSettings(config, "config.json", {});
  return { ...buildLaunch(whole, settings, world), toAnthropic: goesToAnthropic(whole, settings) };
}

/** The window that an agent is told, wherever it is told. */
function toldWindow(code: string, request: Partial<LaunchRequest> = {}, config?: JsonObject): number | undefined {
  const { argv, env, files } = plan(code, request, config);
  const all = JSON.stringify([argv, env.set, files]).replaceAll("\\", "");
  const found =
    /(?:CLAUDE_CODE_MAX_CONTEXT_TOKENS"?:"|model_context_window=|contextWindowSize":|contextWindow":|"context":)(\d+)/.exec(
      all,
    );
  return found === null ? undefined : Number(found[1]);
}

describe("context honesty", () => {
  test.each([
    ["xip", {}, 200_000], // BIG and its cascade
    ["qip", {}, 200_000],
    ["pip", {}, 200_000],
    ["oip", {}, 200_000],
    ["cip", {}, 40_000], // its sonnet is MIDDLE
    ["xip", { model: "v/wide" }, 1_000_000],
    ["cip", { model: "v/wide" }, 1_000_000],
    ["oib", { model: "v/small" }, 40_000],
    ["xib", {}, undefined], // its own models it knows itself
    ["qib", {}, undefined],
    ["xid", {}, undefined],
    ["cid", {}, undefined],
  ])("%s %j is told %p", (code, request, window) => {
    expect(toldWindow(code, request)).toBe(window);
  });

  test("a tier's letter counts with BIG's cascade, models for tools and fallbacks", () => {
    const config = { model_tiers: tiers, launcher: { tiers: { k: "v/wide" } } };
    expect(toldWindow("xik", {}, config)).toBe(200_000);
    expect(toldWindow("xik", {}, { ...config, fallbacks: ["v/small"] })).toBe(40_000);
    expect(toldWindow("xik", {}, { ...config, toolcall_models: ["v/small"] })).toBe(40_000);
  });

  test("Claude Code keeps the names of its models, and what it knows of them, where they go to Anthropic", () => {
    const config = { model_tiers: { BIG: { default: "anthropic:opus", cascade: ["v/small"] } } };
    const { env, toAnthropic } = plan("cip", {}, config);
    expect(Object.keys(env.set)).toEqual(["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"]);
    expect([toAnthropic, plan("cip").toAnthropic, plan("cib").toAnthropic, plan("xib").toAnthropic]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test.each([
    ["cipk", "clutch-small"],
    ["cip", "clutch-small"],
    ["oipk", "clutch/clutch-small"],
  ])("chores of %s go to the small tier", (code, model) => {
    expect(JSON.stringify(plan(code).env.set).replaceAll("\\", "")).toContain(
      code.startsWith("c") ? `"ANTHROPIC_DEFAULT_HAIKU_MODEL":"${model}"` : `"small_model":"${model}"`,
    );
  });

  test.each(["cip", "oip"])("chores of %s go to the one model that -m names", (code) => {
    expect(JSON.stringify(plan(code, { model: "v/wide" }))).not.toContain("clutch-small");
  });
});
