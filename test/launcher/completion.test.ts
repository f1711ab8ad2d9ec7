import { describe, expect, test } from "bun:test";
import { Command, Option } from "commander";
import { completeClutch } from "../../commands/completion.ts";
import { namesRoute, parseLaunchCode } from "../../launcher/code.ts";
import { type CompletionWorld, completeXx, listModels } from "../../launcher/completion.ts";
import { renderCandidates } from "../../launcher/completion-scripts.ts";
import { parseXxOptions } from "../../launcher/options.ts";
import { buildLaunch } from "../../launcher/plan.ts";
import { readLauncherSettings } from "../../launcher/settings.ts";
import { type AgentLetter, agentNames, modeNames, namedTiers, routeNames } from "../../src/launch-code.ts";

const hourMs = 3_600_000;

const config = {
  launcher: { profiles: { "3": { model: "openai:gpt-5" }, "7": {} }, tiers: { f: "z-ai/glm-5:free" } },
  model_tiers: { BIG: { default: "vendor/big", cascade: ["vendor/next", "moonshotai/kimi-k2.6:free"] }, SMALL: {} },
  fallbacks: ["vendor/last"],
  toolcall_models: ["vendor/tools"],
  mappings: { "coder-model": "BIG" },
};

const settings = readLauncherSettings(config, "config.json", {});

const asked: AgentLetter[] = [];

const world: CompletionWorld = {
  settings,
  nowMs: 100 * hourMs,
  models: () => listModels(settings, config),
  async sessions(agent) {
    asked.push(agent);
    return [
      { id: "id-1", updatedAtMs: 100 * hourMs - 120_000, title: "my parser fix" },
      { id: "id-2", updatedAtMs: 90 * hourMs, title: "a very long title ".repeat(10) },
      { id: "other-3", updatedAtMs: 4 * hourMs },
    ];
  },
};

/** As zsh gets it. */
async function complete(line: string, fish = false): Promise<string[]> {
  const words = line.split(" ");
  const candidates = await completeXx(words.slice(0, -1), words.at(-1) ?? "", { ...world, closesEveryWord: fish });
  return renderCandidates(candidates, fish ? "fish" : "zsh")
    .split("\n")
    .slice(0, -1);
}

const values = async (line: string) => (await complete(line)).map((text) => text.split("\t")[0]);

describe("codes", () => {
  test.each<[string, string[]]>([
    [
      "",
      ["c\tClaude Code", "h\tHermes", "x\tCodex", "q\tQwen Code", "p\tPi", "o\tOpenCode", "a\tAnte", "g\tAntigravity"],
    ],
    [
      "c",
      ["ci\tnew session", "cc\tcontinue the last", "cn\tnon-interactive", "cs\tsession by id", "cr\tresume picker"],
    ],
    [
      "ci",
      [
        "cip\tthrough the gateway, with routing and fail-over (as without a letter)",
        "cib\tthrough the gateway, the agent's own model kept",
        "cid \tdirect to the provider, no gateway",
        "cin \tNemotron 3 Super 120B: nvidia/nemotron-3-super-120b-a12b:free",
        "cik \tKimi K2.6: moonshotai/kimi-k2.6:free",
        "ciq \tQwen3 Next 80B: qwen/qwen3-next-80b-a3b-thinking",
        "cim \tbest by model-scan: clutch-big",
        "cif \tbest free: z-ai/glm-5:free",
        "ci3 \tprofile 3: openai:gpt-5",
        "ci7 \tprofile 7: no model of its own",
      ],
    ],
    [
      "cip",
      [
        "cipd \tDeepSeek V4 Flash: deepseek/deepseek-v4-flash:free",
        "cipn \tNemotron 3 Super 120B: nvidia/nemotron-3-super-120b-a12b:free",
        "cipk \tKimi K2.6: moonshotai/kimi-k2.6:free",
        "cipq \tQwen3 Next 80B: qwen/qwen3-next-80b-a3b-thinking",
        "cipm \tbest by model-scan: clutch-big",
        "cipf \tbest free: z-ai/glm-5:free",
        "cip3 \tprofile 3: openai:gpt-5",
        "cip7 \tprofile 7: no model of its own",
      ],
    ],
    ["o", ["oi\tnew session", "oc\tcontinue the last", "on\tnon-interactive", "os\tsession by id"]],
    ["a", ["ai\tnew session", "an\tnon-interactive", "as\tsession by id"]],
    ["g", ["gi\tnew session", "gc\tcontinue the last", "gn\tnon-interactive", "gs\tsession by id"]],
    ["gi", ["gid \tdirect to the provider, no gateway"]],
    ["cid", ["cid \t"]],
    ["cipf", ["cipf \t"]],
    ["cif", ["cif \t"]],
    ["z", []],
    ["cz", []],
    ["ciz", []],
    ["or", []],
    ["gip", []],
    ["cidf", []],
    ["cifk", []],
    ["cipff", []],
  ])("after %j", async (typed, expected) => {
    expect(await complete(typed)).toEqual(expected);
  });

  /** Asked of the launcher itself, letter by letter. */
  const launchable = Object.keys(agentNames).flatMap((agent) =>
    Object.keys(modeNames).flatMap((mode) =>
      ["", ...Object.keys(routeNames)].flatMap((route) =>
        ["", ...Object.keys(namedTiers), "3", "7"].map((tier) => `${agent}${mode}${route}${tier}`),
      ),
    ),
  );
  const canLaunch = (typed: string) => {
    try {
      const code = parseLaunchCode(typed);
      buildLaunch(
        {
          code,
          namesRoute: namesRoute(typed),
          isSafe: false,
          rest: [],
          prompt: code.mode === "n" ? "x" : undefined,
          session: code.mode === "s" ? "x" : undefined,
        },
        settings,
        {
          env: {},
          cwd: "/",
          file: undefined,
          launchId: "abcdefgh",
          launchDir: "/launch",
          isRoot: false,
          hasTerminal: true,
          catalogue: {},
          newSession: "UUID",
          hasOwnLogin: false,
          rivals: [],
        },
      );
      return true;
    } catch {
      return false;
    }
  };
  const expected = new Set(launchable.filter(canLaunch));

  /** All that can be reached by Tab alone. */
  async function reach(typed: string, isFish: boolean): Promise<string[]> {
    const next = (await complete(typed, isFish)).map((text) => text.split("\t")[0] ?? "");
    const open = isFish ? next.filter((value) => value !== typed) : next.filter((value) => !value.endsWith(" "));
    const further = await Promise.all(open.map((value) => reach(value, isFish)));
    return [...next.map((value) => value.trimEnd()), ...further.flat()];
  }

  test("all that can be launched is reached, and all that is closed can be launched", async () => {
    const reached = await reach("", false);
    expect(new Set(reached.filter(canLaunch))).toEqual(expected);
    expect(expected.size).toBeGreaterThan(800);
    const closed = await Promise.all([...expected].map((code) => values(code)));
    for (const value of closed.flat()) if (value?.endsWith(" ")) expect(canLaunch(value.trimEnd())).toBe(true);
  });

  test("for fish, whatever is offered can be launched", async () => {
    const reached = new Set(await reach("", true));
    expect([...reached].filter((code) => !canLaunch(code))).toEqual([]);
    expect(reached).toEqual(expected);
    expect(await complete("g", true)).toEqual([
      "gid\tnew session, direct to the provider, no gateway",
      "gcd\tcontinue the last, direct to the provider, no gateway",
      "gnd\tnon-interactive, direct to the provider, no gateway",
      "gsd\tsession by id, direct to the provider, no gateway",
    ]);
  });
});

describe("behind a code", () => {
  test("options of the usage, all of which xx takes", async () => {
    const flags = (await values("cip -")).map((value) => value?.trimEnd() ?? "");
    expect(flags).toContain("-s");
    expect(flags).toContain("--session");
    expect(flags.length).toBeGreaterThan(12);
    for (const flag of flags) expect(() => parseXxOptions([flag, "value"])).not.toThrow();
    expect(await values("cip --")).toEqual(flags.filter((flag) => flag.startsWith("--")).map((flag) => `${flag} `));
    expect(await values("cip ")).toEqual(await values("cip --"));
    expect(await complete("cip --sa")).toEqual(["--safe \tleave the agent's approvals on"]);
    expect(await values("--safe --dr")).toEqual(["--dry-run "]);
  });

  test("codes, where options stand before them", async () => {
    expect(await values("--safe g")).toEqual(["gi", "gc", "gn", "gs"]);
    expect(await values("-m x/y cid")).toEqual(["cid "]);
  });

  test("nothing in a prompt, and nothing of ours behind --", async () => {
    expect(await values("cnp ")).toEqual([]);
    expect(await values("cnp fix c")).toEqual([]);
    expect(await values("cip -p ")).toEqual([]);
    expect(await values("cip -- ")).toEqual([]);
    expect(await values("cip -- -")).toEqual([]);
  });

  test("the sessions of that agent, newest first", async () => {
    asked.length = 0;
    const long = "a very long title ".repeat(10).slice(0, 57);
    expect(await complete("csp -s ")).toEqual([
      "id-1 \t2 min ago: my parser fix",
      `id-2 \t10 h ago: ${long}...`,
      "other-3 \t4 days ago",
    ]);
    expect(await values("xsd --session o")).toEqual(["other-3 "]);
    expect(await values("hi --session=id-")).toEqual(["--session=id-1 ", "--session=id-2 "]);
    expect(asked).toEqual(["c", "x", "h"]);
    expect(await values("-s ")).toEqual([]);
  });

  test("models", async () => {
    expect(await complete("cip -m ")).toEqual([
      "deepseek/deepseek-v4-flash:free \ttier d",
      "nvidia/nemotron-3-super-120b-a12b:free \ttier n",
      "moonshotai/kimi-k2.6:free \ttier k",
      "qwen/qwen3-next-80b-a3b-thinking \ttier q",
      "clutch-big \ttier m",
      "z-ai/glm-5:free \ttier f",
      "openai:gpt-5 \t",
      "vendor/big \t",
      "vendor/next \t",
      "vendor/tools \t",
      "vendor/last \t",
      "coder-model \t",
      "clutch-middle \t",
      "clutch-small \t",
    ]);
    expect(await values("cip --model=vendor/b")).toEqual(["--model=vendor/big "]);
  });
});

describe("listModels()", () => {
  const plain = readLauncherSettings({}, "", {});

  test("takes a config of any shape", () => {
    const odd = { model_tiers: [1, "x"], mappings: null, fallbacks: { a: 1 }, toolcall_models: "one/model" };
    const models = listModels(plain, odd);
    expect(models).toEqual([...new Set(models)]);
    expect(models).toContain("one/model");
    expect(listModels(plain, null)).toEqual(listModels(plain, {}));
  });
});

describe("renderCandidates()", () => {
  const candidates = [
    { value: "ci", description: "new\tsession\n", isOpen: true },
    { value: "cid", description: "direct\x1b[2J" },
    { value: "$(reboot)", description: "from a config" },
    { value: "two words", description: "" },
  ];

  test.each([
    ["zsh", "ci\tnew session \ncid \tdirect [2J\n"],
    ["fish", "ci\tnew session \ncid\tdirect [2J\n"],
    ["bash", "ci\ncid \n"],
  ] as const)("for %s, without what a shell would execute", (shell, expected) => {
    expect(renderCandidates(candidates, shell)).toBe(expected);
  });
});

describe("completeClutch()", () => {
  const program = new Command("clutch").version("1").enablePositionalOptions();
  program
    .command("serve")
    .description("run it")
    .option("--port <port>", "which port")
    .option("--host <host>", "which host");
  program.command("secret", { hidden: true });
  program.command("xx").argument("[words...]").passThroughOptions();
  const aliases = program.command("aliases").description("short names");
  aliases
    .command("install")
    .description("write them")
    .addOption(new Option("--shell <shell>", "whose").choices(["zsh", "fish"]))
    .addOption(new Option("--hidden").hideHelp())
    .option("-f, --force", "all of them");

  program.command("up").argument("[services...]", "these alone");
  const chain = program.command("chain");
  chain.command("move").argument("<service>", "its id").option("--before <service>", "before this one");
  chain.command("add").argument("<service>", "an id for it");

  const clutch = async (line: string) => {
    const words = line.split(" ");
    const withServices = { ...world, services: () => ["gateway", "db"] };
    const candidates = await completeClutch(program, words.slice(0, -1), words.at(-1) ?? "", withServices);
    return candidates.map(({ value, description }) => `${value}\t${description}`);
  };

  test.each<[string, string[]]>([
    ["", ["serve\trun it", "xx\t", "aliases\tshort names", "up\t", "chain\t", "help\tdisplay help for command"]],
    ["up ", ["gateway\tthese alone", "db\tthese alone"]],
    ["up gateway d", ["db\tthese alone"]],
    ["chain move d", ["db\tits id"]],
    ["chain move db --before g", ["gateway\tbefore this one"]],
    ["chain move db --before=g", ["--before=gateway\tbefore this one"]],
    ["chain add ", []],
    ["al", ["aliases\tshort names"]],
    ["--v", ["--version\toutput the version number"]],
    ["serve --p", ["--port\twhich port"]],
    ["serve --port ", []],
    ["serve --port 1 --h", ["--host\twhich host", "--help\tdisplay help for command"]],
    ["aliases i", ["install\twrite them"]],
    [
      "aliases install -",
      [
        "--shell\twhose",
        "--force\tall of them",
        "-f\tall of them",
        "--help\tdisplay help for command",
        "-h\tdisplay help for command",
      ],
    ],
    ["aliases install --shell ", ["zsh\twhose", "fish\twhose"]],
    ["aliases install --shell f", ["fish\twhose"]],
    ["aliases install --shell=f", ["--shell=fish\twhose"]],
    ["xx gi", ["gid\tdirect to the provider, no gateway"]],
    ["xx cip --saf", ["--safe\tleave the agent's approvals on"]],
    ["serve -- ", []],
  ])("after %j", async (line, expected) => {
    expect(await clutch(line)).toEqual(expected);
  });
});
