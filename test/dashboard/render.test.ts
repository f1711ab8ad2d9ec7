import { describe, expect, test } from "bun:test";
import { firstView, type View } from "../../src/dashboard/keys.ts";
import { emptyModel, takeSilence, takeStatus } from "../../src/dashboard/model.ts";
import { leastSize, renderDashboard } from "../../src/dashboard/render.ts";
import { planDraw } from "../../src/dashboard/screen.ts";
import { plainPaint } from "../../src/explain/table.ts";
import { busy, ended, flight, now, status } from "./samples.ts";

const classic = { columns: 80, rows: 24 };

function shown(model = busy, view: Partial<View> = {}, size = classic): string[] {
  return renderDashboard(model, { ...firstView, ...view }, size, plainPaint).map((line) => line.trimEnd());
}

test("dense in 80x24: a line for each request", () => {
  expect(shown()).toMatchInlineSnapshot(`
    [
      "Clutch 0.1.0 up 3 h · 4 under way · 50 tok/s · today 142, 3 failed, cost unknown",
      "chain  gateway ready · headroom stopped · rtk passive",
      "BIG groq:two  MIDDLE groq:two  SMALL nobody",
      "out  the free models of openrouter (until 00:00 UTC)",
      "under way (4) ─────────────────────────────────────────────────     for   tok/s",
      "  cip   claude-opus-4-5  waiting for openrouter:vendor/one:fre…   2.4 s       -",
      "  xipf  a-model-with-a-… streaming from groq:two                  2.4 s      50",
      "  -     模型-日本語-한…  routing                                  2.4 s       -",
      "  cip   claude-opus-4-5  pausing for a limit, left groq:two (r…   2.4 s       -",
      "last ones (3) ─────────────────────────────────────────────────    took  tokens",
      "  xip   gpt-5.1-codex    groq:two, left openrouter:vendor/one:…    10 s     900",
      "  xip   gpt-5.1-codex    failed (503): chat:first (overloaded)…    10 s       -",
      "  xip   gpt-5.1-codex    broken off while groq:two answered        10 s     900",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "/ filter · p pause · enter why · d sparse · ? help · q quit",
    ]
  `);
});

test("sparse in 100x40: two lines for each, the tiers with their reasons, the chosen one marked", () => {
  expect(
    shown(busy, { layout: "sparse", selected: "mwoxzzzyffffff" }, { columns: 100, rows: 40 }),
  ).toMatchInlineSnapshot(`
    [
      "Clutch 0.1.0 up 3 h · 4 under way · 50 tok/s · today 142, 3 failed, cost unknown",
      "",
      "chain  gateway ready · headroom stopped · rtk passive",
      "BIG     groq:two  instead of openrouter:vendor/one:free (back 12:05:00 UTC, in 5 min): one is resti…",
      "MIDDLE  groq:two",
      "SMALL   nobody  mistral:three (back 12:05:00 UTC, in 5 min): one is resting: 429",
      "out  the free models of openrouter (until 00:00 UTC)",
      "",
      "under way (4) ────────────────────────────────────────────────────────────     for   tok/s     cost",
      "  cip   claude-opus-4-5      waiting for openrouter:vendor/one:free          2.4 s       -",
      "    left chat:first (overloaded) · tier BIG by family · mwoy0000aaaaaa",
      "  xipf  a-model-with-a-very… streaming from groq:two                         2.4 s      50",
      "    1.2 k tokens so far · tier BIG by family · mwoy0001bbbbbb",
      "  -     模型-日本語-한국어   routing                                         2.4 s       -",
      "    tier BIG by family · mwoy0002cccccc",
      "  cip   claude-opus-4-5      pausing for a limit                             2.4 s       -",
      "    left groq:two (rate-limit) · tier BIG by family · mwoy0003dddddd",
      "",
      "last ones (3) ────────────────────────────────────────────────────────────    took  tokens     cost",
      "  xip   gpt-5.1-codex        groq:two                                         10 s     900        ?",
      "    10 s ago · left openrouter:vendor/one:free (rate-limit) · first token after 1.0 s · 12.3 k toke…",
      "> xip   gpt-5.1-codex        failed (503): chat:first (overloaded), groq:…    10 s       -        ?",
      "    30 s ago · left chat:first (overloaded), groq:two (timeout) · 12.3 k tokens in · mwoxzzzyffffff",
      "  xip   gpt-5.1-codex        broken off while groq:two answered               10 s     900    $0.01",
      "    40 s ago · first token after 1.0 s · 12.3 k tokens in · 100 tok/s · mwoxzzzxgggggg",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "",
      "/ filter · p pause · enter why · d dense · ? help · q quit",
    ]
  `);
});

test("in 140 columns there is room for ids and what it cost", () => {
  expect(shown(busy, {}, { columns: 140, rows: 16 })).toMatchInlineSnapshot(`
    [
      "Clutch 0.1.0 up 3 h · 4 under way · 50 tok/s · today 142, 3 failed, cost unknown",
      "chain  gateway ready · headroom stopped · rtk passive",
      "BIG groq:two  MIDDLE groq:two  SMALL nobody",
      "out  the free models of openrouter (until 00:00 UTC)",
      "under way (4) ────────────────────────────────────────────────────────────────────────────────────────────────────     for   tok/s     cost",
      "  mwoy0000aaaaaa cip   claude-opus-4-5              waiting for openrouter:vendor/one:free, left chat:first (over…   2.4 s       -",
      "  mwoy0001bbbbbb xipf  a-model-with-a-very-long-na… streaming from groq:two                                          2.4 s      50",
      "  mwoy0002cccccc -     模型-日本語-한국어           routing                                                          2.4 s       -",
      "  mwoy0003dddddd cip   claude-opus-4-5              pausing for a limit, left groq:two (rate-limit)                  2.4 s       -",
      "last ones (3) ────────────────────────────────────────────────────────────────────────────────────────────────────    took  tokens     cost",
      "  mwoxzzzzeeeeee xip   gpt-5.1-codex                groq:two, left openrouter:vendor/one:free (rate-limit)            10 s     900        ?",
      "  mwoxzzzyffffff xip   gpt-5.1-codex                failed (503): chat:first (overloaded), groq:two (timeout)         10 s       -        ?",
      "  mwoxzzzxgggggg xip   gpt-5.1-codex                broken off while groq:two answered                                10 s     900    $0.01",
      "",
      "",
      "/ filter · p pause · enter why · d sparse · ? help · q quit",
    ]
  `);
});

describe("pages and states", () => {
  test("the filter leaves what holds all its words, and says how many", () => {
    const lines = shown(busy, { filter: "xip GROQ", page: { kind: "filter", before: "" } });
    expect(lines.filter((line) => /^(under|last|\/)/.test(line)).map((line) => line.replace(/─.*/, ""))).toEqual([
      "under way (1 of 4) ",
      "last ones (3 of 3) ",
      "/xip GROQ_  enter keeps it, escape goes back",
    ]);
    expect(shown(busy, { filter: "no such thing" }).join("\n")).toContain("none that the filter lets through");
    expect(shown(busy, { filter: "kimi" }).at(-1)).toContain("/ filter: kimi");
  });

  test("a gateway that is gone is told of, and so is one that nobody has heard of yet", () => {
    const gone = takeSilence(busy, "no gateway answers at http://127.0.0.1:8082", now);
    expect(shown(gone)[0]).toBe("no gateway answers at http://127.0.0.1:8082 · today 142, 3 failed, cost unknown");
    expect(shown(gone).join("\n")).toContain("under way (0)");
    expect(shown(gone, {}, { columns: 140, rows: 24 }).join("\n")).toContain(
      "groq:two, left openrouter:vendor/one:free (rate-limit)",
    );
    expect(shown(emptyModel).join("\n")).toContain("asking the gateway ...");
  });

  test("paused, draining, with problems and priced", () => {
    const more = {
      ...status,
      draining: true,
      problems: ["the config file was not taken over"],
      today: { ...status.today, cost_usd: 1.25 },
    };
    const lines = shown(takeStatus(busy, more, now), { isPaused: true });
    expect(lines[0]).toBe("PAUSED · Clutch 0.1.0 up 3 h · shutting down · 4 under way · 50 tok/s · today 1…");
    expect(lines[2]).toBe("! the config file was not taken over");
    expect(shown(takeStatus(busy, more, now), {}, { columns: 160, rows: 24 })[0]).toEndWith(
      "today 142, 3 failed, $1.25 + 139 unpriced",
    );
    expect(lines.at(-1)).toContain("p goes on");
  });

  test("help, and why with what is below", () => {
    const help = shown(busy, { page: { kind: "help" } });
    expect(help.join("\n")).toContain("enter                   why it went as it did");
    expect([help.length, help.at(-1)]).toEqual([24, "any key goes back"]);
    const lines = Array.from({ length: 40 }, (_, at) => `line ${at}`);
    const why = (top: number) => shown(busy, { page: { kind: "why", id: "x", lines, top } });
    expect(why(0).slice(0, 2)).toEqual(["line 0", "line 1"]);
    expect(why(0).at(-1)).toBe("down for more · r asks again · escape goes back");
    expect([why(17)[0], why(17).at(-2), why(17).at(-1)]).toEqual([
      "line 17",
      "line 39",
      "r asks again · escape goes back",
    ]);
    expect(shown(busy, { page: { kind: "why", id: "x", lines: undefined, top: 0 } })[0]).toBe("asking about x ...");
  });

  test("the chosen row is on the screen, however far down it stands", () => {
    const many = takeStatus(
      emptyModel,
      {
        ...status,
        requests: Array.from({ length: 30 }, (_, at) =>
          flight(`f${String(at).padStart(2, "0")}`, { model_requested: `flying-${at}` }),
        ),
        recent: Array.from({ length: 60 }, (_, at) =>
          ended(`e${String(at).padStart(2, "0")}`, {
            ended_at: `2026-11-20T10:00:${String(59 - at).padStart(2, "0")}.000Z`,
            model_requested: `gone-${at}`,
          }),
        ),
      },
      now,
    );
    const marked = (selected: string) => shown(many, { selected }).filter((line) => line.startsWith(">"));
    expect(marked("f00")[0]).toContain("flying-0 ");
    expect(marked("f29")[0]).toContain("flying-29");
    expect(marked("e00")[0]).toContain("gone-0 ");
    expect(marked("e59")[0]).toContain("gone-59");
    expect(shown(many).filter((line) => line.includes("flying-")).length).toBeGreaterThanOrEqual(8);
    expect(shown(many).filter((line) => line.includes("gone-")).length).toBeGreaterThanOrEqual(4);
  });
});

test("whatever the size, it fits: no line too wide, none too many", () => {
  const views: Partial<View>[] = [
    {},
    { layout: "sparse", selected: "mwoy0002cccccc", filter: "日本語" },
    { page: { kind: "help" } },
    { page: { kind: "filter", before: "" }, filter: "模型".repeat(60) },
    { page: { kind: "why", id: "x", lines: ["日本語".repeat(50)], top: 0 } },
  ];
  for (const columns of [1, 2, 10, 49, 50, 51, 79, 80, 81, 109, 110, 200]) {
    for (const rows of [1, 3, 11, 12, 13, 24, 60]) {
      for (const view of views) {
        const lines = renderDashboard(busy, { ...firstView, ...view }, { columns, rows }, plainPaint);
        expect(lines.length).toBeLessThanOrEqual(rows);
        expect(Math.max(0, ...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(columns);
      }
    }
  }
});

test("where there is no room it says so politely", () => {
  expect(shown(busy, {}, { columns: 40, rows: 24 })).toEqual([
    `clutch watch needs ${leastSize.columns} columns`,
    `and ${leastSize.rows} rows; here are 40x24.`,
    "Enlarge the window, or q to quit.",
  ]);
  expect(shown(busy, {}, { columns: 10, rows: 1 })).toEqual(["clutch wa…"]);
});

test("names that a terminal would obey are shown as text", () => {
  const evil = "m\x1b[2J\x1b]0;title\x07\r\nx";
  const model = takeStatus(
    emptyModel,
    {
      ...status,
      problems: [evil],
      requests: [flight(evil, { model_requested: evil, targets: [evil], rule: evil, code: evil })],
      recent: [ended(evil, { model_requested: evil, served_by: evil, error: evil, status: "error" })],
      tiers: [{ ...(status.tiers[0] as (typeof status.tiers)[number]), serves: evil, first: evil }],
      domains: status.domains.map((domain) => ({ ...domain, what: evil })),
    },
    now,
  );
  for (const layout of ["dense", "sparse"] as const) {
    const text = renderDashboard(model, { ...firstView, layout, filter: evil }, { columns: 200, rows: 50 }, plainPaint);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left
    expect(text.join("")).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  }
});

describe("planDraw()", () => {
  const size = { columns: 10, rows: 3 };
  const begin = "\x1b[?2026h";
  const end = "\x1b[?2026l";
  const cases: [name: string, before: string[], lines: string[], output: string][] = [
    ["nothing where nothing has changed", ["a", "b"], ["a", "b"], ""],
    ["everything at first", [], ["a", "b"], `${begin}\x1b[1;1Ha\x1b[0m\x1b[K\x1b[2;1Hb\x1b[0m\x1b[K${end}`],
    ["only the row that has changed", ["a", "b"], ["a", "c"], `${begin}\x1b[2;1Hc\x1b[0m\x1b[K${end}`],
    ["rows that are no more", ["a", "b"], ["a"], `${begin}\x1b[2;1H\x1b[0m\x1b[K${end}`],
    ["no erasing behind a full row", [], ["0123456789"], `${begin}\x1b[1;1H0123456789\x1b[0m${end}`],
    [
      "no more rows than there are",
      [],
      ["a", "b", "c", "d"],
      `${begin}\x1b[1;1Ha\x1b[0m\x1b[K\x1b[2;1Hb\x1b[0m\x1b[K\x1b[3;1Hc\x1b[0m\x1b[K${end}`,
    ],
  ];
  test.each(cases)("%s", (_name, before, lines, output) => {
    expect(planDraw(before, lines, size)).toBe(output);
  });
});
