import { describe, expect, test } from "bun:test";
import { namesRoute, parseLaunchCode } from "../../launcher/code.ts";
import { buildLaunch, type LaunchRequest, type LaunchWorld } from "../../launcher/plan.ts";
import { readLauncherSettings } from "../../launcher/settings.ts";
import { renderError } from "../../src/errors.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { plainWorld } from "../support/launch-world.ts";

const profiles = {
  "0": { model: "mybox:m" },
  "1": {},
  "2": { name: "review", agent: "codex", model: "openai:gpt-5", route: "b", args: ["--search"], env: { REVIEW: "1" } },
  "3": { model: "opus", route: "d" },
  "4": { env: { ANTHROPIC_API_KEY: "sk-mine", EDITOR: "vi", ANTHROPIC_BASE_URL: "http://elsewhere" } },
};
const config = { providers: { mybox: { base_url: "http://127.0.0.1:1/v1" } }, launcher: { profiles } };

const world: LaunchWorld = plainWorld;

function launch(code: string, request: Partial<LaunchRequest> = {}, from: JsonObject = config) {
  const whole = { code: parseLaunchCode(code), namesRoute: namesRoute(code), isSafe: true, rest: [], ...request };
  return buildLaunch(whole, readLauncherSettings(from, "config.json", {}), world);
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return renderError(error);
  }
  throw new Error("nothing was thrown");
}

describe("a profile", () => {
  test("names a model, and its digit is in the token", () => {
    const { argv, env } = launch("hi0");
    expect(argv).toEqual(["--provider", "kilocode", "-m", "mybox:m"]);
    expect(env.set["KILOCODE_API_KEY"]).toBe("xx-hip0-id42");
  });

  test("decides the route that the code leaves out, and brings options and variables of its own", () => {
    const { argv, env } = launch("xi2", { rest: ["--oss"] });
    expect(env.set).toEqual({ REVIEW: "1", CLUTCH_KEY: "xx-xib2-id42" });
    expect(argv.slice(0, 3)).toEqual(["--no-daemon", "-m", "openai:gpt-5"]);
    expect(argv.slice(-2)).toEqual(["--search", "--oss"]);
  });

  test("gives way to the route that the code names", () => {
    expect(launch("xip2").env.set["CLUTCH_KEY"]).toBe("xx-xip2-id42");
  });

  test("may go around the gateway, with a model of the agent's own", () => {
    const { argv, env, token } = launch("ci3");
    expect(argv).toEqual(["--session-id", "UUID", "--model", "opus"]);
    expect([env.set, token]).toEqual([{}, undefined]);
    expect(launch("ci3", { model: "sonnet" }).argv.slice(-2)).toEqual(["--model", "sonnet"]);
  });

  test("cannot bring back what the launch removes, nor point it elsewhere", () => {
    const { set } = launch("ci4").env;
    expect(set["ANTHROPIC_BASE_URL"]).toBe("http://127.0.0.1:8082");
    expect(set["EDITOR"]).toBe("vi");
    expect(set).not.toHaveProperty("ANTHROPIC_API_KEY");
  });

  test.each([
    [
      "ci9",
      'tier 9 is profile 9, which the config does not have: add "launcher": { "profiles": { "9": { "model": "..." } } }',
    ],
    ["ci2", "profile 2 is for Codex, not for Claude Code: xx xip2"],
  ])("%s is refused: %s", (code, message) => {
    expect(refusal(() => launch(code))).toBe(message);
  });

  test.each([
    [{ "0": "fast" }, 'config.json: "launcher.profiles.0" is "fast", not an object: correct it in the file'],
    [{ "0": { model: 5 } }, 'config.json: "launcher.profiles.0.model" is 5, not a text: correct it in the file'],
    [
      { "0": { agent: "vim" } },
      'config.json: "launcher.profiles.0.agent" is "vim", not an agent (c, h, x, q, p, o, a, g or its name): correct it in the file',
    ],
    [{ "0": { route: "x" } }, 'config.json: "launcher.profiles.0.route" is "x", not p, b or d: correct it in the file'],
    [
      { "0": { args: "-x" } },
      'config.json: "launcher.profiles.0.args" is "-x", not a list of texts: correct it in the file',
    ],
    [{ "0": { env: { A: 1 } } }, 'config.json: "launcher.profiles.0.env.A" is 1, not a text: correct it in the file'],
  ])("%j in the config: %s", (broken, message) => {
    expect(refusal(() => launch("ci0", {}, { launcher: { profiles: broken } }))).toBe(message);
  });

  test.each(["c", "claude", "Claude Code", "claude-code"])("is for the agent %j", (agent) => {
    const from = { launcher: { profiles: { "0": { agent } } } };
    expect(launch("ci0", {}, from).env.set["ANTHROPIC_AUTH_TOKEN"]).toBe("xx-cip0-id42");
    expect(refusal(() => launch("qi0", {}, from))).toStartWith("profile 0 is for Claude Code");
  });
});

describe("-m", () => {
  test.each([
    ["openai:gpt-5", {}, "openai:gpt-5"],
    ["mybox:m", {}, "mybox:m"],
    ["vendor/model", {}, "vendor/model"],
    ["BIG", {}, "clutch-big"],
    ["clutch-small", {}, "clutch-small"],
    ["sonnet", {}, "sonnet"],
    ["coder", { mappings: { coder: "BIG" } }, "coder"],
    ["qwen2.5:72b", { default_provider: "ollama" }, "ollama:qwen2.5:72b"],
  ])("%s with %j asks for %s", (model, more, asked) => {
    expect(launch("xip", { model }, { ...config, ...more }).argv.slice(1, 3)).toEqual(["-m", asked]);
  });

  test("refuses a name that can be no model", () => {
    expect(refusal(() => launch("xip", { model: "gpt5" }))).toBe(
      'unknown model "gpt5": it names no provider, and OpenRouter\'s are vendor/model: ' +
        "such as -m openai/gpt-oss-120b:free, -m openai:gpt-5 or -m ollama:qwen3:8b",
    );
  });

  test("is left to the agent on routes b and d", () => {
    for (const code of ["xib", "xid"]) expect(launch(code, { model: "gpt5" }).argv.slice(1, 3)).toEqual(["-m", "gpt5"]);
  });
});
