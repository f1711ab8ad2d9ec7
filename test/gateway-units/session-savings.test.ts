import { describe, expect, test } from "bun:test";
import { addRequest, findHarm, noFigures, SessionSavings } from "../../src/gateway/session-savings.ts";
import type { RequestRow } from "../../src/store/schema.ts";

const minute = 60_000;

/** A request of a minute's distance: its whole prompt, what of it came from the cache, and what compression took out. */
interface Turn {
  prompt: number;
  cached?: number;
  saved?: number;
  status?: number;
  model?: string;
  afterMinutes?: number;
}

function rows(turns: readonly Turn[]): RequestRow[] {
  let startedAt = 1_800_000_000_000;
  return turns.map(({ prompt, cached = 0, saved = 0, status = 200, model = "p:m", afterMinutes = 1 }, index) => {
    startedAt += afterMinutes * minute;
    return {
      id: `r${index}`,
      startedAt,
      durationMs: 1000,
      status: status === 200 ? "completed" : "error",
      httpStatus: status,
      protocol: "messages",
      streamed: true,
      modelRequested: "clutch-big",
      attempts: 1,
      session: "s1",
      servedBy: status === 200 ? model : null,
      inputTokens: prompt - cached,
      cacheReadTokens: cached,
      cacheWriteTokens: 0,
      compression: "front",
      tokensBefore: prompt + saved,
      tokensAfter: prompt,
    } as const;
  });
}

/** A conversation that grows by 4000 tokens a turn. */
const growing = (turns: number, cachedShare: number, saved: number): Turn[] =>
  Array.from({ length: turns }, (_, index) => {
    const prompt = 20_000 + index * 4_000;
    return { prompt, saved, cached: index === 0 ? 0 : Math.round((prompt - 4_000) * cachedShare) };
  });

describe("findHarm()", () => {
  test.each<[what: string, turns: Turn[], harm: string | undefined]>([
    ["no cache at all: every token saved is a gain", growing(8, 0, 500), undefined],
    ["the cache goes on hitting", growing(8, 1, 500), undefined],
    ["hardly anything saved, and nothing lost", growing(8, 1, 1), undefined],
    ["a little of the cache is lost, and more is saved", growing(8, 0.99, 3_000), undefined],
    ["the first requests say nothing yet", growing(3, 0.1, 100), undefined],
    [
      "the cache is lost with every turn, for little",
      [{ prompt: 20_000, saved: 300 }, ...growing(5, 0.1, 300).slice(1)],
      "93.6k tokens of prompt cache were lost, for 1.5k saved",
    ],
    ["the cache is lost where nothing was compressed", growing(8, 0.1, 0), undefined],
    ["the cache ran out by itself", growing(8, 0.1, 300).map((turn) => ({ ...turn, afterMinutes: 10 })), undefined],
    [
      "another model takes over: it has cached nothing",
      growing(8, 0.1, 300).map((turn, index) => ({ ...turn, model: index % 2 ? "p:m" : "q:n" })),
      undefined,
    ],
    [
      "small calls in between are other conversations",
      growing(8, 1, 300).flatMap((turn) => [turn, { prompt: 800, saved: 10 }]),
      undefined,
    ],
    [
      "two compressed requests are refused as wrong",
      [{ prompt: 20_000, saved: 300 }, ...[400, 422].map((status) => ({ prompt: 24_000, saved: 300, status }))],
      "2 compressed requests were refused as wrong",
    ],
    [
      "refusals that are not of the body",
      [429, 401, 402, 404, 500, 503].map((status) => ({ prompt: 24_000, saved: 300, status })),
      undefined,
    ],
    [
      "refused requests that went on as they came",
      [400, 400, 400].map((status) => ({ prompt: 24_000, status })),
      undefined,
    ],
  ])("%s", (_what, turns, harm) => {
    expect(findHarm(rows(turns).reduce(addRequest, noFigures))).toBe(harm as never);
  });
});

describe("SessionSavings", () => {
  test("names a harmful session once, and only that one", () => {
    const lines: string[] = [];
    const savings = new SessionSavings((line) => lines.push(line));
    for (const row of rows(growing(8, 0.1, 300))) savings.note(row);
    for (const row of rows(growing(8, 1, 300))) savings.note({ ...row, session: "s2" });
    expect(savings.isHarmful("s1")).toBe(true);
    expect(savings.isHarmful("s2")).toBe(false);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toStartWith("compression harms session s1: ");
    expect(savings.report()).toMatchObject([
      { session: "s1", requests: 8, compressed: 8, tokens_saved: 2_400, harmful: expect.stringContaining("lost") },
      { session: "s2", requests: 8, compressed: 8, tokens_saved: 2_400, cache_tokens_lost: 0, harmful: null },
    ]);
  });

  test("knows nothing of sessions that were never compressed, and of requests without one", () => {
    const savings = new SessionSavings(() => {});
    const [row] = rows([{ prompt: 1000 }]);
    if (row === undefined) throw new Error("a row is missing");
    savings.note({ ...row, compression: null, tokensBefore: null, tokensAfter: null });
    savings.note({ ...row, session: null, launchId: null });
    expect(savings.report()).toEqual([]);
  });
});
