import { describe, expect, test } from "bun:test";
import { mergeLists } from "../../src/models/catalogue.ts";

const usd = [1, 4, 0, 0];
const snapshot = {
  openrouter: {
    "v/old": { context: 100, output: 10, usd, tools: true },
    "v/kept": { context: 200, output: 20, usd: [0, 0, 0, 0], image: true, isPlan: true as const },
  },
  groq: { small: { context: 300, output: 30, usd } },
};
const day = 86_400_000;
const copy = (providers: object, checkedAt = 10 * day) => ({
  url: "http://x",
  checkedAt,
  providers: providers as never,
});

describe("mergeLists()", () => {
  test("takes a provider's models from the best list, and fills in what that leaves unsaid", () => {
    const { catalogue, lists } = mergeLists(snapshot, 5 * day, {
      openrouter: copy({ openrouter: { "v/kept": { context: 250, output: 25, tools: false, usd: [2, 3, 0, 0] } } }),
      "models.dev": copy({
        openrouter: { "v/kept": { context: 1, output: 1, name: "Kept" } },
        gemini: { g: { context: 9, output: 9 } },
      }),
    });
    expect(catalogue).toEqual({
      openrouter: {
        // Neither "part of a plan" nor a price of another list.
        "v/kept": {
          context: 250,
          output: 25,
          tools: false,
          usd: [2, 3, 0, 0],
          image: true,
          name: "Kept",
          list: "openrouter",
        },
      },
      groq: { small: { context: 300, output: 30, usd, list: "snapshot" } },
      gemini: { g: { context: 9, output: 9, list: "models.dev" } },
    });
    expect(Object.entries(lists).map(([id, { list, checkedAt, models }]) => [id, list, checkedAt, models])).toEqual([
      ["openrouter", "openrouter", 10 * day, 1],
      ["groq", "snapshot", 5 * day, 1],
      ["gemini", "models.dev", 10 * day, 1],
    ]);
  });

  test("does not use a copy that is older than the snapshot", () => {
    const { catalogue, lists } = mergeLists(snapshot, 20 * day, { openrouter: copy({ openrouter: {} }) });
    expect(Object.keys(catalogue["openrouter"] ?? {})).toEqual(["v/old", "v/kept"]);
    expect(lists["openrouter"]?.list).toBe("snapshot");
  });
});
