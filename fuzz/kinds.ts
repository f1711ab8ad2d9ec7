/** All kinds of fuzzing, and one step of any of them. */

import { answerKind } from "./answers.ts";
import { sequenceKind } from "./event-sequences.ts";
import { type Found, runCase } from "./kind.ts";
import { laneKind } from "./pass-lanes.ts";
import { randomOf } from "./random.ts";
import { requestKind } from "./requests.ts";
import { streamKind } from "./upstream-streams.ts";

export const kindNames = [requestKind.name, streamKind.name, answerKind.name, sequenceKind.name, laneKind.name];

/** Case after case takes its turn among the kinds; what a case holds depends on the seed and its number alone. */
export function runNumbered(seed: number, caseNumber: number): Found | undefined {
  const random = randomOf(seed, caseNumber);
  switch (caseNumber % 5) {
    case 0:
      return runCase(requestKind, caseNumber, random);
    case 1:
      return runCase(streamKind, caseNumber, random);
    case 2:
      return runCase(answerKind, caseNumber, random);
    case 3:
      return runCase(sequenceKind, caseNumber, random);
    default:
      return runCase(laneKind, caseNumber, random);
  }
}

export function kindOf(caseNumber: number): string {
  return kindNames[caseNumber % kindNames.length] ?? "";
}
