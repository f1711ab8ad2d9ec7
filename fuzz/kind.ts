/** One kind of fuzzing: how its inputs are made, what must hold of each, and how a failing one gets smaller. */

import type { Random } from "./random.ts";

export interface Kind<Input> {
  name: string;
  make(random: Random): Input;
  /** @returns the rules broken; depends on nothing but the input */
  check(input: Input): string[];
  /** Inputs with a little less in them. */
  smaller(input: Input): Iterable<Input>;
  show(input: Input): string;
}

/** A case that broke a rule, made as small as it goes. */
export interface Found {
  kind: string;
  caseNumber: number;
  violations: string[];
  input: string;
}

/** A single input that takes longer than this hangs an agent, whatever comes of it (ms). */
const longestMs = 2000;

/** How often a smaller input is tried before the last one that failed is shown. */
const maxTries = 4000;

export function runCase<Input>(kind: Kind<Input>, caseNumber: number, random: Random): Found | undefined {
  const input = kind.make(random);
  const violations = examine(kind, input);
  if (violations.length === 0) return undefined;
  const smallest = minimise(kind, input, violations[0] ?? "");
  return { kind: kind.name, caseNumber, violations: examine(kind, smallest), input: kind.show(smallest) };
}

function examine<Input>(kind: Kind<Input>, input: Input): string[] {
  const startedAt = performance.now();
  let violations: string[];
  try {
    violations = kind.check(input);
  } catch (cause) {
    violations = [`throws ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`];
  }
  const tookMs = performance.now() - startedAt;
  return tookMs > longestMs ? [...violations, `takes ${Math.round(tookMs)} ms`] : violations;
}

/** Greedy: takes the first smaller input that breaks the same rule, and begins again with it. */
function minimise<Input>(kind: Kind<Input>, input: Input, rule: string): Input {
  const isSame = (other: string) => other.slice(0, 24) === rule.slice(0, 24);
  let smallest = input;
  let tries = 0;
  for (let hasShrunk = true; hasShrunk && tries < maxTries; ) {
    hasShrunk = false;
    for (const candidate of kind.smaller(smallest)) {
      if (++tries >= maxTries) break;
      if (!examine(kind, candidate).some(isSame)) continue;
      smallest = candidate;
      hasShrunk = true;
      break;
    }
  }
  return smallest;
}
