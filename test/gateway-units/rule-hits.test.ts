import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildProviders } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { configuredRules, hitFile, idleRuleMs, RuleHits } from "../../src/gateway/rule-hits.ts";
import { ruleProblems } from "../../src/gateway/rules-check.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-hits-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const fileNamed = (name: string) => join(folder, "state", name);

test("configuredRules() names what the config turns on", () => {
  const config = parseConfig(
    {
      mappings: { "coder-model": "BIG", off: "" },
      routes: { think: "a/b", long_context: { model: "a/c" }, custom: "./r.ts" },
      agents: { hermes: { roles: { approval: "SMALL", vision: "" } }, claude: { subagents: { docs: "SMALL" } } },
    },
    "c.json",
  );
  expect(configuredRules(config)).toEqual([
    "mappings.coder-model",
    "routes.think",
    "routes.custom",
    "routes.long_context",
    "agents.hermes.roles.approval",
    "agents.claude.subagents.docs",
  ]);
});

describe("RuleHits", () => {
  const day = Date.UTC(2026, 0, 1);

  test("counts, and lists the configured rules first", async () => {
    let now = day;
    const hits = new RuleHits(hitFile(fileNamed("a.json")), () => now);
    await hits.restore();
    hits.configure(["routes.think", "routes.image"]);
    now += 5;
    hits.count("routes.image");
    hits.count("family");
    hits.count("routes.image");
    expect(hits.list()).toEqual([
      { rule: "routes.think", hits: 0, last_hit_at: null, since: day },
      { rule: "routes.image", hits: 2, last_hit_at: day + 5, since: day },
      { rule: "family", hits: 1, last_hit_at: day + 5, since: day + 5 },
    ]);
    await hits.close();
  });

  test("reports a rule that has matched nothing for a week, over a restart", async () => {
    const store = hitFile(fileNamed("b.json"));
    let now = day;
    const first = new RuleHits(store, () => now);
    first.configure(["routes.think", "routes.image"]);
    first.count("routes.image");
    await first.close();
    expect(statSync(fileNamed("b.json")).mode & 0o777).toBe(0o600);

    const second = new RuleHits(store, () => now);
    await second.restore();
    second.configure(["routes.think", "routes.image", "mappings.x"]);
    now = day + idleRuleMs - 1;
    second.count("mappings.x");
    expect(second.problems()).toEqual([]);
    now = day + idleRuleMs;
    expect(second.problems()).toEqual([
      "routes.think has matched nothing since it was configured on 2026-01-01",
      "routes.image has matched nothing since 2026-01-01",
    ]);
    second.count("routes.think");
    second.configure(["routes.think", "mappings.x"]);
    expect(second.problems()).toEqual([]);
    await second.close();
    expect(readFileSync(fileNamed("b.json"), "utf8")).not.toContain("routes.image");
  });

  test("begins anew with a file that is broken", async () => {
    for (const text of ["{", "{}", '[{"rule": 1}, null, {"rule": "a.b", "hits": 1, "last_hit_at": "x", "since": 0}]']) {
      writeFileSync(fileNamed("c.json"), text);
      const hits = new RuleHits(hitFile(fileNamed("c.json")), () => day);
      await hits.restore();
      expect(hits.list()).toEqual([]);
    }
  });
});

describe("ruleProblems()", () => {
  const rows: [name: string, config: JsonObject, lines: string[]][] = [
    ["finds none in a sound config", { mappings: { a: "BIG", b: "think" }, routes: { think: "ollama:x" } }, []],
    [
      "tells a circle once",
      { mappings: { a: "b", b: "c", c: "a" } },
      ["mappings.a goes in a circle: a -> b -> c -> a"],
    ],
    [
      "names each list with an unknown provider in it",
      {
        model_tiers: { BIG: { default: "opnai:a", cascade: ["a/b", "grok:x"] } },
        fallbacks: ["nope:m"],
        routes: { image: "opnai:gpt-5" },
        agents: { hermes: { roles: { vision: "opnai:v" } }, claude: { subagents: { docs: "opnai:d" } } },
      },
      [
        "routes.image names opnai:gpt-5: there is no provider opnai",
        "agents.hermes.roles.vision names opnai:v: there is no provider opnai",
        "agents.claude.subagents.docs names opnai:d: there is no provider opnai",
        "fallbacks names nope:m: there is no provider nope",
        "model_tiers.BIG.default names opnai:a: there is no provider opnai",
        "model_tiers.BIG.cascade names grok:x: there is no provider grok",
      ],
    ],
    ["tells a mapping to an empty route", { mappings: { a: "think" } }, ["mappings.a -> think names no model"]],
    [
      "names limits of what nobody can ask for",
      { quotas: { "v/model:free": {}, "nowhere:m": {}, gpt5: {} } },
      [
        "quotas names nowhere:m: there is no provider nowhere",
        "quotas names gpt5, which is no model that this config can ask for",
      ],
    ],
    [
      "lets other default providers name models as they like",
      { default_provider: "ollama", fallbacks: ["qwen3:8b"] },
      [],
    ],
  ];
  test.each(rows)("%s", (_name, raw, lines) => {
    const config = parseConfig(raw, "c.json");
    const providers = buildProviders(config, () => undefined);
    expect(ruleProblems({ config, providers, tierLetters: {}, quotas: new Map() })).toEqual(lines);
  });
});
