import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { looksLikeAccessKey, maskAccessKey, parseAccessKey } from "../../src/access-key.ts";
import { Keyring } from "../../src/gateway/keyring.ts";
import { type KeyQueries, keyQueries } from "../../src/store/keys.ts";
import { openStore } from "../../src/store/open.ts";
import type { KeyRow } from "../../src/store/schema.ts";
import { makeHome } from "../support/gateway.ts";

/** A ledger's table in memory, which may refuse to be written. */
function table(rows: KeyRow[] = []) {
  const known = new Map(rows.map((row) => [row.id, row]));
  const state = { isFull: false };
  const queries: KeyQueries = {
    load: async () => [...known.values()],
    async save(saved) {
      if (state.isFull) throw new Error("disk full");
      for (const row of saved) known.set(row.id, { ...row });
    },
    async noteUses(uses) {
      for (const [id, lastUsedAt] of uses) Object.assign(known.get(id) ?? {}, { lastUsedAt });
    },
  };
  return { known, state, queries };
}

function setUp(rows?: KeyRow[]) {
  const clock = { now: 1_763_600_000_000 };
  const store = table(rows);
  const keyring = new Keyring({ queries: store.queries, now: () => clock.now });
  return { clock, ...store, keyring };
}

const day = 86_400_000;

describe("Keyring", () => {
  test("keeps nothing of a key but its hash, and knows it again after a restart", async () => {
    const home = makeHome();
    const first = openStore(`${home}/clutch.db`);
    const keyring = new Keyring({ queries: keyQueries(first.db), now: () => 5 });
    const terms = { agents: ["c"], models: ["*:free"], budget: { hard_usd: 1 }, expiresAt: 9 };
    const { key, text } = await keyring.create({ name: "ci", ...terms });
    expect(text).toMatch(new RegExp(`^clutch-${key.id}-[A-Za-z0-9_-]{43}$`));
    first.close();
    const secret = text.slice(16);
    expect(Buffer.from(await Bun.file(`${home}/clutch.db`).bytes()).includes(secret)).toBe(false);

    const second = openStore(`${home}/clutch.db`);
    const again = new Keyring({ queries: keyQueries(second.db), now: () => 5 });
    await again.restore();
    expect(again.judge(text)).toMatchObject({ kind: "valid", key: { id: key.id, name: "ci", ...terms, createdAt: 5 } });
    await again.revoke("ci");
    await again.close();
    second.close();

    const third = openStore(`${home}/clutch.db`);
    const last = new Keyring({ queries: keyQueries(third.db), now: () => 6 });
    await last.restore();
    expect(last.judge(text)).toMatchObject({ kind: "revoked", at: 5, key: { lastUsedAt: 5 } });
    third.close();
    rmSync(home, { recursive: true });
  });

  test("knows when each was used last, whatever becomes of it", async () => {
    const { keyring, clock, known } = setUp();
    const { key, text } = await keyring.create({ name: "ci" });
    clock.now += 5000;
    keyring.judge(text);
    const { key: next } = await keyring.rotate("ci", day);
    await keyring.revoke(key.id);
    expect(keyring.get(key.id)?.lastUsedAt).toBe(clock.now);
    expect(keyring.get(next.id)?.lastUsedAt).toBeUndefined();
    expect(known.get(key.id)).toMatchObject({ lastUsedAt: clock.now, revokedAt: clock.now });
  });

  test("takes the whole key and nothing else", async () => {
    const { keyring } = setUp();
    const { key, text } = await keyring.create({ name: "ci" });
    const other = await keyring.create({ name: "other" });
    const wrong = [
      text.slice(0, -1),
      `${text}A`,
      `${text.slice(0, -1)}${text.endsWith("A") ? "B" : "A"}`,
      `${text} `,
      text.toUpperCase(),
      text.replace(key.id, other.key.id),
      `clutch-${key.id}-`,
      `clutch-${key.id}`,
      "clutch-",
      "",
      key.id,
    ];
    for (const given of wrong) expect([given, keyring.judge(given).kind]).toEqual([given, "unknown"]);
    expect(keyring.judge(text).kind).toBe("valid");
  });

  test("ends a key at its time, and when it is revoked", async () => {
    const { keyring, clock } = setUp();
    const { text } = await keyring.create({ name: "ci", expiresAt: clock.now + day });
    clock.now += day - 1;
    expect(keyring.judge(text).kind).toBe("valid");
    clock.now += 1;
    expect(keyring.judge(text)).toMatchObject({ kind: "expired", at: clock.now });
    // Its name is free again.
    const next = await keyring.create({ name: "ci" });
    expect((await keyring.revoke("ci")).id).toBe(next.key.id);
    expect(keyring.judge(next.text)).toMatchObject({ kind: "revoked", at: clock.now });
  });

  test("rotates: the same terms under another key, the old one at once or in a while", async () => {
    const { keyring, clock } = setUp();
    const terms = {
      name: "ci",
      agents: ["x"],
      models: ["a"],
      budget: { hard_requests: 3 },
      expiresAt: clock.now + 9 * day,
    };
    const first = await keyring.create(terms);
    const second = await keyring.rotate("ci", 0);
    expect(second.key).toMatchObject(terms);
    expect([first, second].map(({ text }) => keyring.judge(text).kind)).toEqual(["revoked", "valid"]);
    const third = await keyring.rotate(second.key.id, day);
    expect([second, third].map(({ text }) => keyring.judge(text).kind)).toEqual(["valid", "valid"]);
    clock.now += day;
    expect([second, third].map(({ text }) => keyring.judge(text).kind)).toEqual(["expired", "valid"]);
    // No longer than it was good for without.
    await keyring.rotate(third.key.id, 99 * day);
    clock.now += 8 * day;
    expect(keyring.judge(third.text).kind).toBe("expired");
    await expect(keyring.rotate(first.key.id, 0)).rejects.toThrow(/is revoked/);
  });

  test("finds a key by its id, the beginning of it, its name or itself, and none by guessing", async () => {
    const { keyring } = setUp();
    const { key, text } = await keyring.create({ name: "build server" });
    for (const name of [key.id, key.id.slice(0, 5), "build server", text, `clutch-${key.id}-…`]) {
      expect((await keyring.revoke(name)).id).toBe(key.id);
    }
    await expect(keyring.revoke("")).rejects.toThrow('there is no key ""');
    await expect(keyring.revoke("build")).rejects.toThrow('there is no key "build"');
    const wrong = "clutch-22222222-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfG";
    const told = await keyring.revoke(wrong).catch(String);
    expect(told).toContain("there is no key");
    expect(told).not.toContain("AbCdEfGhIj");
  });

  test("a name is one valid key's own", async () => {
    const { keyring } = setUp();
    await keyring.create({ name: "ci" });
    await expect(keyring.create({ name: "ci" })).rejects.toThrow('there is a key named "ci" already');
    const { old } = await keyring.rotate("ci", day);
    await expect(keyring.revoke("ci")).rejects.toThrow(`several keys are "ci": ${old.id}, `);
  });

  test("a full disk: what is revoked is refused all the same, and nothing new is handed out", async () => {
    const { keyring, state } = setUp();
    const { text } = await keyring.create({ name: "ci" });
    state.isFull = true;
    await expect(keyring.create({ name: "new" })).rejects.toThrow("keys cannot be written (disk full)");
    await expect(keyring.rotate("ci", 0)).rejects.toThrow("keys cannot be written");
    expect(keyring.judge(text).kind).toBe("valid");
    await expect(keyring.revoke("ci")).rejects.toThrow("keys cannot be written");
    expect(keyring.judge(text).kind).toBe("revoked");
    expect(keyring.list()).toHaveLength(1);
  });

  test.each<[patterns: string[], model: string, is: boolean]>([
    [["*:free"], "moonshotai/kimi-k2.6:free", true],
    [["*:free"], "moonshotai/kimi-k2.6", false],
    [["openrouter:*"], "moonshotai/kimi-k2.6", true],
    [["moonshotai/*"], "moonshotai/kimi-k2.6", true],
    [["MoonshotAI/*"], "moonshotai/kimi-k2.6", true],
    [["kimi"], "moonshotai/kimi-k2.6", false],
    [["anthropic:*", "*kimi*"], "moonshotai/kimi-k2.6", true],
    [["moonshotai/kimi-k2.6"], "moonshotai/kimi-k2x6", false],
    [["(a+)+$", "a|b"], "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", false],
    [[`${"*a".repeat(40)}!`], "a".repeat(36), false],
  ])("%j: %s %p", async (models, model, is) => {
    const { keyring } = setUp();
    const { key } = await keyring.create({ name: "ci", models });
    expect(key.admitsModel("openrouter", model)).toBe(is);
  });
});

describe("access keys", () => {
  test.each<[text: string, looks: boolean, id: string | undefined, mask: string]>([
    [`clutch-abcd2345-${"x".repeat(43)}`, true, "abcd2345", "clutch-abcd2345-…"],
    [`clutch-abcd2345-${"x".repeat(42)}`, true, undefined, "clutch-abcd2345-…"],
    [`clutch-abcd2345 ${"x".repeat(43)}`, true, undefined, "(hidden)"],
    ["sk-ant-1", false, undefined, "(hidden)"],
    ["", false, undefined, "(hidden)"],
  ])("%s", (text, looks, id, mask) => {
    expect([looksLikeAccessKey(text), parseAccessKey(text)?.id, maskAccessKey(text)]).toEqual([looks, id, mask]);
  });
});
