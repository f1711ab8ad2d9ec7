/** The fuzzer's rules on a small budget, so that every change meets them. The seed is new each time, and printed. */

import { expect, test } from "bun:test";
import { kindNames, runNumbered } from "../../fuzz/kinds.ts";

const seed = Date.now() % 1_000_000;
console.log(`properties: seed ${seed}`);

/** Per kind (ms). */
const budgetMs = 400;
/** Below this, nothing worth the name has been tried. */
const leastCases = 50;

const rules: Readonly<Record<string, string>> = {
  requests: "no mutated request becomes a body that a strict server refuses, or throws anything but a ProtocolError",
  streams: "no damaged stream breaks the order of events, a client's grammar, or looks whole without its terminal",
  answers: "no damaged answer throws anything but a MalformedAnswer, or becomes one that a client cannot read",
  sequences: "whatever a model says, each client's stream says the same, and is understood again",
  "passed on": "a stream that is passed on and breaks off anywhere ends in an error after its own bytes, or is whole",
};

test.each(kindNames.map((kind, at) => [kind, rules[kind] ?? kind, at] as const))("%s: %s", (_kind, _rule, first) => {
  const deadline = performance.now() + budgetMs;
  let tried = 0;
  for (let number = first; tried < leastCases || performance.now() < deadline; number += kindNames.length) {
    const found = runNumbered(seed, number);
    tried++;
    if (found === undefined) continue;
    const again = `bun fuzz/run.ts --seed ${seed} --case ${number}`;
    expect(`${found.violations.join("\n")}\n\n${found.input}\n\n${again}`).toBe("");
  }
});
