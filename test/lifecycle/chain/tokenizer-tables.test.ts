import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeTokenizerTables } from "../../../src/lifecycle/chain/tokenizer-tables.ts";

/** Name and content as tiktoken checks them (tiktoken_ext/openai_public.py, 0.14.0). */
const expected = {
  "9b5ad71b2ce5302211f9c61530b329a4922fc6a4": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
  fb374d419588a4632f3f557e76b4b70aebbca790: "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
};

test("writes the tables that tiktoken looks for, once, and mends half a one", async () => {
  const root = mkdtempSync(join(tmpdir(), "clutch-tables-"));
  try {
    const folder = join(root, "tables");
    await writeTokenizerTables(folder);
    const hash = (name: string) =>
      new Bun.CryptoHasher("sha256").update(readFileSync(join(folder, name))).digest("hex");
    const found = () => Object.fromEntries(readdirSync(folder).map((name) => [name, hash(name)]));
    expect(found()).toEqual(expected);
    const [whole = "", half = ""] = Object.keys(expected).map((name) => join(folder, name));
    expect(statSync(whole).mode & 0o777).toBe(0o600);
    utimesSync(whole, 1, 1);
    writeFileSync(half, "half");
    await writeTokenizerTables(folder);
    expect(found()).toEqual(expected);
    expect(statSync(whole).mtimeMs).toBe(1000);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("a folder that cannot be made is no reason not to start", async () => {
  await writeTokenizerTables("/dev/null/tables");
});
