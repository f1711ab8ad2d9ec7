import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { catalog, findRow, type ProviderRow } from "../../providers/catalog.ts";
import { readModelSnapshot } from "../../providers/model-snapshot.ts";
import { plainQuirks } from "../../src/protocols/codec.ts";

const rows = Object.entries(catalog) as [id: string, row: ProviderRow][];

describe("the catalogue", () => {
  test("has every provider that the model snapshot knows", () => {
    expect(Object.keys(readModelSnapshot()).filter((id) => findRow(id) === undefined)).toEqual([]);
  });

  test.each(rows)("%s has bases to which a protocol's path can be appended", (_id, row) => {
    const bases = Object.values(row.bases);
    expect(bases.length).toBeGreaterThan(0);
    for (const base of bases) {
      const url = new URL(base.replace("<resource>", "resource"));
      expect([url.search, url.hash, base.endsWith("/")]).toEqual(["", "", false]);
      const isHere = url.hostname === "127.0.0.1";
      expect(url.protocol).toBe(isHere ? "http:" : "https:");
      // Only what is on this machine may do without a key.
      expect(row.keyEnv === undefined).toBe(isHere);
    }
  });

  test.each(rows)("%s has quirks that differ from the plain ones, or none", (_id, row) => {
    for (const [name, value] of Object.entries(row.quirks)) {
      expect([name, plainQuirks[name as keyof typeof plainQuirks]]).not.toEqual([name, value]);
    }
  });

  test.each(rows)("%s sends each model to a protocol it has", (_id, row) => {
    for (const { protocol } of row.modelProtocols ?? []) expect(Object.keys(row.bases)).toContain(protocol);
  });

  test("ids can stand before a colon in a model reference", () => {
    expect(rows.filter(([id]) => !/^[a-z][a-z-]*$/.test(id))).toEqual([]);
  });

  test("findRow() knows no names that every object has", () => {
    expect([findRow("constructor"), findRow("__proto__"), findRow("mybox")]).toEqual([undefined, undefined, undefined]);
  });
});

describe("README.md", () => {
  const protocols = ["messages", "chat", "responses"] as const;
  const expected = rows.map(([id, row]) => [
    `\`${id}\``,
    row.name,
    protocols.filter((protocol) => protocol in row.bases).join(", "),
    row.keyEnv === undefined ? "none" : `\`${row.keyEnv[0]}\``,
  ]);

  test("lists the catalogue's providers", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const section = readme.slice(readme.indexOf("## Providers"), readme.indexOf("## Where things are"));
    const table = section.split("\n").filter((line) => line.startsWith("| `"));
    const told = table.map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
    expect(told).toEqual(expected);
  });
});
