/**
 * How soon the gateway answers after `clutch up` was called, with nothing up before and nothing but the gateway to start
 * (`npm run build` first).
 *
 *     bun bench/up.ts [--runs 20]
 *
 * With tmux and without (`--detach`). The last column is the whole command, which waits until the gateway is ready.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort, median } from "./harness.ts";
import { decimals, renderTable } from "./report.ts";

const clutch = join(import.meta.dir, "../dist/clutch");
const gateMs = 300;
const limitMs = 20_000;
const pollMs = 4;

interface Start {
  answersMs: number;
  doneMs: number;
}

const { values } = parseArgs({ options: { runs: { type: "string", default: "20" } } });
const ways = [
  { name: "up, in tmux", args: ["up"] },
  { name: "up --detach", args: ["up", "--detach"] },
] as const;
const measured = ways.map(({ name, args }) => ({ name, args, starts: [] as Start[] }));
const home = mkdtempSync(join(tmpdir(), "clutch-bench-up-"));
try {
  // The first start of each way makes the database and warms the page cache.
  for (let run = -1; run < Number(values.runs); run++) {
    for (const { args, starts } of measured) {
      const start = await measure(home, args);
      if (run >= 0) starts.push(start);
    }
  }
} finally {
  rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
const rows = measured.map(({ name, starts }) => {
  const sorted = starts.map(({ answersMs }) => answersMs).sort((one, other) => one - other);
  const middle = median(sorted);
  return [
    name,
    decimals(middle, 0),
    decimals(sorted[Math.floor((sorted.length - 1) * 0.95)], 0),
    decimals(sorted[0], 0),
    middle < gateMs ? `< ${gateMs}` : `MISSED ${gateMs}`,
    decimals(median(starts.map(({ doneMs }) => doneMs)), 0),
  ];
});
console.log(renderTable(["command", "answers: median ms", "p95 ms", "least ms", "gate", "done: median ms"], rows));
process.exitCode = rows.some((row) => row.join().includes("MISSED")) ? 1 : 0;

async function measure(folder: string, args: readonly string[]): Promise<Start> {
  const port = freePort();
  writeFileSync(join(folder, "config.json"), JSON.stringify({ server: { port }, headroom: { mode: "off" } }));
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder, CLUTCH_HOME: folder };
  const run = (words: readonly string[]) =>
    Bun.spawn([clutch, ...words], { env, stdio: ["ignore", "ignore", "ignore"] });
  const startedAtMs = performance.now();
  const child = run(args);
  const done = child.exited.then((code) => ({ code, ms: performance.now() - startedAtMs }));
  try {
    const answersMs = await untilAnswers(`http://127.0.0.1:${port}/livez`, startedAtMs);
    const { code, ms } = await done;
    if (code !== 0) throw new Error(`clutch ${args.join(" ")} ended with ${code}`);
    return { answersMs, doneMs: ms };
  } finally {
    await run(["down"]).exited;
  }
}

async function untilAnswers(url: string, startedAtMs: number): Promise<number> {
  while (performance.now() - startedAtMs < limitMs) {
    const isThere = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isThere) return performance.now() - startedAtMs;
    await Bun.sleep(pollMs);
  }
  throw new Error(`nothing answers at ${url}`);
}
