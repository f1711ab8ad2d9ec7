import { describe, expect, test } from "bun:test";
import { type Caller, recognise } from "../../src/gateway/recognise.ts";
import { parseLaunchToken } from "../../src/launch-token.ts";

const token = "xx-cipd-k3j9-Sec_ret-1";
const launch = parseLaunchToken(token);
const nobody: Caller = {
  launch: undefined,
  keepsOwnLogin: false,
  key: undefined,
  agent: undefined,
  session: undefined,
};

describe("recognise()", () => {
  const cases: [name: string, headers: Record<string, string>, caller: Partial<Caller>][] = [
    ["nobody by nothing", {}, {}],
    ["a launch by its bearer", { authorization: `Bearer ${token}` }, { launch, key: token, agent: "c" }],
    [
      "a launch by a bearer of another spelling",
      { authorization: `bearer  ${token}` },
      { launch, key: token, agent: "c" },
    ],
    ["a launch by its key", { "x-api-key": token }, { launch, key: token, agent: "c" }],
    [
      "a launch beside the agent's own login",
      { "x-clutch-launch": token, authorization: "Bearer sk-ant-1" },
      { launch, keepsOwnLogin: true, key: "sk-ant-1", agent: "c" },
    ],
    [
      "no login in a key that is the token too",
      { "x-clutch-launch": token, authorization: `Bearer ${token}` },
      { launch, key: token, agent: "c" },
    ],
    [
      "no launch by an invented token",
      { "x-clutch-launch": "xx-zzz-1", authorization: "Bearer sk-1" },
      { key: "sk-1" },
    ],
    ["no launch by a provider's key", { "x-api-key": "sk-or-v1-1" }, { key: "sk-or-v1-1" }],
    [
      "no vendor's login in a key of the gateway's own",
      { "x-clutch-launch": token, authorization: "Bearer clutch-abcd2345-x" },
      { launch, keepsOwnLogin: false, key: "clutch-abcd2345-x", agent: "c" },
    ],
    ["nothing in a bearer without a key", { authorization: "Bearer", "x-api-key": "sk-1" }, { key: "sk-1" }],
    ["the bearer before the key", { authorization: "Bearer sk-1", "x-api-key": token }, { key: "sk-1" }],
    [
      "the launch's agent before the user agent's",
      { authorization: `Bearer ${token}`, "user-agent": "codex_exec/0.60" },
      { launch, key: token, agent: "c" },
    ],
    ["Claude Code by its user agent", { "user-agent": "claude-cli/2.1.5 (external, cli)" }, { agent: "c" }],
    ["Codex by its user agent", { "user-agent": "codex_cli_rs/0.60.1 (Linux)" }, { agent: "x" }],
    ["Qwen Code by its user agent", { "user-agent": "QwenCode/0.2 (linux; x64)" }, { agent: "q" }],
    ["OpenCode by its user agent", { "user-agent": "opencode/1.0" }, { agent: "o" }],
    ["Pi by its user agent", { "user-agent": "pi (linux)" }, { agent: "p" }],
    ["no agent by a user agent that only holds its name", { "user-agent": "my-claude-cli/1" }, {}],
    ["Claude Code's session", { "x-claude-code-session-id": "s1", "x-session-id": "s2" }, { session: "s1" }],
    ["Codex's session", { "session-id": "s1" }, { session: "s1" }],
    ["another agent's session", { "x-session-id": "s1" }, { session: "s1" }],
    ["a session of any length, cut", { "x-session-id": "s".repeat(500) }, { session: "s".repeat(128) }],
  ];
  test.each(cases)("sees %s", (_name, headers, caller) => {
    expect(recognise(new Headers(headers))).toEqual({ ...nobody, ...caller });
  });
});
