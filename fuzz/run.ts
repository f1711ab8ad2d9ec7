/**
 * Fuzzes the translations: `npm run fuzz -- --seconds 60 --seed 7`. One case of a run again: `--seed 7 --case 1234`.
 * Ends with 1 at the first case that breaks a rule, throws or hangs.
 */

import { parseArgs } from "node:util";
import { kindNames, kindOf } from "./kinds.ts";
import type { Done, Order } from "./worker.ts";

/** A case that takes this long hangs; the longest allowed is far below (ms). */
const hangMs = 20_000;

const { values } = parseArgs({
  options: { seconds: { type: "string" }, seed: { type: "string" }, case: { type: "string" } },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const seconds = Number(values.seconds ?? 60);
const single = values.case === undefined ? undefined : Number(values.case);
if (![seed, seconds, single ?? 0].every(Number.isFinite)) {
  console.error("--seconds, --seed and --case take numbers");
  process.exit(2);
}

console.log(`fuzz: seed ${seed}, ${single === undefined ? `${seconds} s` : `case ${single}`}`);
const progress = new SharedArrayBuffer(4);
const current = new Int32Array(progress);
const worker = new Worker(new URL("./worker.ts", import.meta.url));
const startedAt = performance.now();

let lastSeen = -1;
let seenAt = performance.now();
const watcher = setInterval(() => {
  const now = Atomics.load(current, 0);
  if (now !== lastSeen) {
    lastSeen = now;
    seenAt = performance.now();
  } else if (performance.now() - seenAt > hangMs) {
    fail(`case ${now} (${kindOf(now)}) hangs: bun fuzz/run.ts --seed ${seed} --case ${now}`);
  }
}, 500);

worker.onerror = (event) => fail(`the fuzzer itself failed: ${event.message}`);
worker.onmessage = ({ data }: MessageEvent<Done>) => {
  clearInterval(watcher);
  const { cases, found } = data;
  const tookSeconds = (performance.now() - startedAt) / 1000;
  const counts = single === undefined ? countsOf(cases) : "";
  console.log(`fuzz: ${cases} cases in ${tookSeconds.toFixed(1)} s${counts}`);
  if (found !== undefined) {
    console.log(`\n${found.kind}, seed ${seed}, case ${found.caseNumber} breaks:`);
    for (const rule of found.violations) console.log(`  - ${rule}`);
    console.log(`input, made smaller:\n${found.input}`);
    fail(`again: bun fuzz/run.ts --seed ${seed} --case ${found.caseNumber}`);
  }
  console.log("fuzz: no rule was broken");
  process.exit(0);
};
const order: Order = { seed, seconds, from: single ?? 0, limit: single === undefined ? 2 ** 30 : 1, progress };
worker.postMessage(order);

function countsOf(cases: number): string {
  const each = kindNames.map((name, at) => `${name} ${Math.ceil((cases - at) / kindNames.length)}`);
  return `: ${each.join(", ")}`;
}

function fail(why: string): never {
  console.error(why);
  process.exit(1);
}
