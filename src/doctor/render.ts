/** `clutch doctor` for people. Pure. */

import { renderNumber } from "../explain/counts.ts";
import { asPlainLine } from "../explain/cut-line.ts";
import type { Paint } from "../explain/table.ts";
import type { DoctorReport } from "./finding.ts";

const widest = "leftovers".length;

/** A line each, and below what is not well the way to put it right. */
export function renderDoctor(report: DoctorReport, paint: Paint): string {
  const tones = { ok: paint.good, warn: paint.warn, fail: paint.bad };
  let before: string | undefined;
  const lines = report.checks.flatMap(({ area, level, text, fix, fixed }) => {
    const head = area === before ? "" : area;
    before = area;
    const mark = tones[level](fixed === null ? level.padEnd(4) : "done");
    const line = `${mark}  ${head.padEnd(widest)}  ${asPlainLine(text)}`;
    const below = fixed !== null ? fixed : level === "ok" ? null : fix;
    return below === null ? [line] : [line, paint.dim(`${" ".repeat(widest + 8)}-> ${asPlainLine(below)}`)];
  });
  return [...lines, "", renderVerdict(report, paint)].join("\n");
}

function renderVerdict({ faults, warnings, checks }: DoctorReport, paint: Paint): string {
  const mendable = checks.filter(({ can_fix, fixed, level }) => can_fix && fixed === null && level !== "ok").length;
  const offer = mendable === 0 ? "" : `; clutch doctor --fix mends ${mendable} of them`;
  if (faults + warnings === 0) return paint.good("all is well");
  const parts = [
    ...(faults === 0 ? [] : [renderNumber(faults, "fault")]),
    ...(warnings === 0 ? [] : [renderNumber(warnings, "warning")]),
  ];
  const words = `${parts.join(", ")}${offer}`;
  return faults > 0 ? paint.bad(words) : paint.warn(words);
}
