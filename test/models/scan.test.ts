import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseScan, readScan, scanPath } from "../../src/models/scan.ts";
import { scanCandidate, scanSnapshot } from "./samples.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const parse = (file: object | string, atMs = nowMs) =>
  parseScan(typeof file === "string" ? file : JSON.stringify(file), "/scan.json", atMs);
const names = (file: object) => {
  const reading = parse(file);
  return reading.kind === "fresh"
    ? reading.snapshot.candidates.map(({ provider, model }) => `${provider}:${model}`)
    : reading;
};

describe("parseScan()", () => {
  test("reads the slot of the primary model, the best first", () => {
    const reading = parse(
      scanSnapshot([
        scanCandidate("v/a", { price_blended: 0 }),
        scanCandidate("v/b", { has_tools: false, price_blended: null }),
      ]),
    );
    expect(reading).toMatchObject({
      kind: "fresh",
      snapshot: {
        generatedAt: Date.parse("2026-11-20T10:00:00Z"),
        candidates: [
          { provider: "openrouter", model: "v/a", price: 0, hasTools: true },
          { provider: "openrouter", model: "v/a", price: 0, hasTools: true },
          { provider: "openrouter", model: "v/b", price: null, hasTools: false },
        ],
      },
    });
  });

  test("knows providers by other names, leaves out those that are down and rows that make no sense", () => {
    const candidates = [
      scanCandidate("g", { provider: "google" }),
      scanCandidate("x", { provider: "Groq" }),
      { provider: "openrouter" },
      scanCandidate("v/a"),
    ];
    expect(names(scanSnapshot(candidates, { provider_health: { groq: "down", openrouter: "degraded" } }))).toEqual([
      "gemini:g",
      "gemini:g",
      "openrouter:v/a",
    ]);
  });

  test.each([
    ["v/a", true],
    ["openrouter/v/a", true],
    ["V/A", true],
    ["v/*", true],
    ["/a", true],
    ["v.a", false],
    ["v/a[", false],
    ["v/ab", false],
  ])("the blocklist entry %s leaves v/a out: %p", (entry, isOut) => {
    const left = names(scanSnapshot([scanCandidate("v/a"), scanCandidate("w/c")], { blocklist: [entry, "", 5] }));
    expect(left).toEqual(isOut ? ["openrouter:w/c"] : ["openrouter:v/a", "openrouter:v/a", "openrouter:w/c"]);
  });

  const refused: [file: object | string, kind: string, line: string][] = [
    [
      scanSnapshot([], { schema_version: "2.0.0" }),
      "refused",
      "model-scan's snapshot /scan.json has schema 2.0.0: this Clutch reads 1.x",
    ],
    [
      scanSnapshot([], { schema_version: "10.1.0" }),
      "refused",
      "model-scan's snapshot /scan.json has schema 10.1.0: this Clutch reads 1.x",
    ],
    [
      scanSnapshot([], { schema_version: 1 }),
      "invalid",
      "model-scan's snapshot /scan.json is not valid (no schema_version)",
    ],
    [
      scanSnapshot([], { generated_at: "soon" }),
      "invalid",
      "model-scan's snapshot /scan.json is not valid (no generated_at)",
    ],
    [scanSnapshot([], { slots: {} }), "invalid", "model-scan's snapshot /scan.json is not valid (no slot R1_primary)"],
    [scanSnapshot([], { blocklist: null }), "invalid", "model-scan's snapshot /scan.json is not valid (no blocklist)"],
    ['{"schema_version": "1.0', "invalid", "model-scan's snapshot /scan.json is not valid (no JSON)"],
    ["[]", "invalid", "model-scan's snapshot /scan.json is not valid (no schema_version)"],
    [
      scanSnapshot([], { generated_at: "2026-11-19T11:59:00Z" }),
      "stale",
      "model-scan's snapshot of 2026-11-19 11:59 UTC is older than 24 h: model-scan --emit-snapshot makes a new one",
    ],
  ];
  test.each(refused)("%j is %s", (file, kind, line) => {
    expect(parse(file)).toEqual({ kind, line } as never);
  });

  test("a later 1.x is read, and one of exactly a day is fresh", () => {
    expect(parse(scanSnapshot([], { schema_version: "1.7.3", generated_at: "2026-11-19T12:00:00Z" })).kind).toBe(
      "fresh",
    );
  });
});

test("readScan() tells a missing file from one that cannot be read", () => {
  const folder = mkdtempSync(join(tmpdir(), "clutch-scan-"));
  mkdirSync(join(folder, "directory"));
  expect(readScan(join(folder, "none"), nowMs)).toEqual({ kind: "absent" });
  expect(readScan(join(folder, "directory"), nowMs)).toMatchObject({
    kind: "invalid",
    line: expect.stringContaining("EISDIR"),
  });
  rmSync(folder, { recursive: true });
});

test("scanPath() is model-scan's own place", () => {
  const own = "/model-scan/routing_snapshot.json";
  expect(scanPath({ HOME: "/h", CLUTCH_HOME: "/c" })).toBe(`/h/.config${own}`);
  expect(scanPath({ HOME: "/h", XDG_CONFIG_HOME: "/x" })).toBe(`/x${own}`);
  expect(scanPath({ HOME: "/h", XDG_CONFIG_HOME: "relative" })).toBe(`/h/.config${own}`);
});
