import { describe, expect, test } from "bun:test";
import { buildPaneEnv, buildResumeEnv, buildTmuxEnv, keepHarmless } from "../../src/lifecycle/launch-env.ts";

describe("keepHarmless()", () => {
  test("keeps what decides how an agent starts", () => {
    const kept = {
      PATH: "/a/bin:/usr/bin",
      CLUTCH_HOME: "/c",
      CLUTCH_PORT: "9000",
      XDG_CONFIG_HOME: "/x",
      IS_SANDBOX: "1",
      CODEX_HOME: "/codex",
      CLAUDE_CONFIG_DIR: "/claude",
      ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
      https_proxy: "http://proxy.example:3128",
      NO_PROXY: "localhost,.example",
      VIRTUAL_ENV: "/venv",
      LANG: "C.UTF-8",
    };
    const dropped = {
      HOME: "/home/someone",
      TERM: "xterm",
      TMUX: "/tmp/x,1,0",
      XDG_RUNTIME_DIR: "/run/user/1",
      XDG_SESSION_ID: "3",
      SOMETHING: "else",
      CLUTCH_GUARD: "abc123",
      UNSET: undefined,
    };
    expect(keepHarmless({ ...kept, ...dropped })).toEqual(kept);
  });

  test("keeps no secret, whatever its name or place", () => {
    expect(
      keepHarmless({
        OPENROUTER_API_KEY: "sk-or-1",
        CLUTCH_KEY: "k",
        CLUTCH_AUTH: "k",
        MY_TOKEN_HOME: "t",
        SECRET_CONFIG: "s",
        GIT_PASSWORD_CONFIG: "p",
        AWS_CREDENTIALS_HOME: "/c",
        HTTP_PROXY: "http://me:pw@proxy.example:3128",
        ALL_PROXY: "me:pw@proxy.example:3128",
        ANTHROPIC_BASE_URL: "https://key@api.example/v1",
        OPENAI_BASE_URL: "https://api.example/v1?key=sk-1",
        CLUTCH_SOMETHING: "xx-cip-abcdefgh",
      }),
    ).toEqual({});
  });
});

describe("buildPaneEnv()", () => {
  const pane = {
    TERM: "tmux-256color",
    TERM_PROGRAM: "tmux",
    TERM_PROGRAM_VERSION: "3.3a",
    TMUX: "/s/xx.sock,1,0",
    TMUX_PANE: "%0",
    PATH: "/server/bin",
    SHELL: "/bin/sh",
    OF_ANOTHER_LAUNCH: "1",
  };

  test("is where the launch was asked for, on tmux's terminal", () => {
    const started = {
      PATH: "/my/bin",
      MY_API_KEY: "sk-1",
      TERM: "xterm-kitty",
      TERM_PROGRAM: "iTerm.app",
      SHELL: "/bin/zsh",
    };
    expect(buildPaneEnv(started, pane, undefined)).toEqual({
      PATH: "/my/bin",
      MY_API_KEY: "sk-1",
      SHELL: "/bin/zsh",
      TERM: "tmux-256color",
      TERM_PROGRAM: "tmux",
      TERM_PROGRAM_VERSION: "3.3a",
      TMUX: "/s/xx.sock,1,0",
      TMUX_PANE: "%0",
    });
  });

  test("names the record to an xx, and to nothing else", () => {
    expect(buildPaneEnv({}, {}, "abc123")).toEqual({ CLUTCH_GUARD: "abc123" });
    expect(buildPaneEnv({ CLUTCH_GUARD: "of-a-parent" }, {}, undefined)).toEqual({});
  });

  test("lets Claude Code use true colour where the terminal has it, unless the person says otherwise", () => {
    expect(buildPaneEnv({ COLORTERM: "truecolor" }, {}, undefined)).toEqual({
      COLORTERM: "truecolor",
      CLAUDE_CODE_TMUX_TRUECOLOR: "1",
    });
    expect(buildPaneEnv({ COLORTERM: "24bit", CLAUDE_CODE_TMUX_TRUECOLOR: "" }, {}, undefined)).toEqual({
      COLORTERM: "24bit",
      CLAUDE_CODE_TMUX_TRUECOLOR: "",
    });
    expect(buildPaneEnv({ COLORTERM: "yes" }, {}, undefined)).toEqual({ COLORTERM: "yes" });
  });
});

test("buildTmuxEnv() shows tmux nothing of a launch", () => {
  expect(
    buildTmuxEnv(
      {
        PATH: "/bin",
        HOME: "/h",
        LC_ALL: "C",
        TERM: "xterm-kitty",
        TMUX: "x",
        MY_API_KEY: "sk-1",
        COLORTERM: "truecolor",
      },
      "xterm-256color",
    ),
  ).toEqual({ PATH: "/bin", HOME: "/h", LC_ALL: "C", TERM: "xterm-256color" });
});

test("buildResumeEnv() takes today's secrets and the ledger's rest", () => {
  expect(buildResumeEnv({ PATH: "/venv/bin:/bin", CODEX_HOME: "/x" }, { PATH: "/bin", MY_API_KEY: "sk-new" })).toEqual({
    PATH: "/venv/bin:/bin",
    CODEX_HOME: "/x",
    MY_API_KEY: "sk-new",
  });
});
