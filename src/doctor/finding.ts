/** What `clutch doctor` finds: one line each, with the way to put it right. Pure. */

/** What is looked at, in the order it is told. */
export const areas = [
  "config",
  "files",
  "database",
  "prices",
  "providers",
  "breakers",
  "gateway",
  "chain",
  "ports",
  "headroom",
  "rtk",
  "tmux",
  "agents",
  "leftovers",
  "clock",
] as const;
export type Area = (typeof areas)[number];

/**
 * ok    as it should be, or not used here
 * warn  it works, and there is something to know
 * fail  something that is meant to work does not
 */
export type Level = "ok" | "warn" | "fail";

export interface Finding {
  area: Area;
  level: Level;
  /** One line. */
  text: string;
  /** What to do; for what is not ok. */
  fix?: string | undefined;
  /**
   * Puts it right where that is harmless: it takes nothing away that anybody could want back.
   * @returns what was done @throws when it could not be
   */
  mend?: () => string;
}

/** One look at one area. It may throw: then that is what is found. */
export interface Check {
  area: Area;
  look(): Promise<Finding[]> | Finding[];
}

export function ok(area: Area, text: string): Finding {
  return { area, level: "ok", text };
}

export function warn(area: Area, text: string, fix?: string, mend?: () => string): Finding {
  return { area, level: "warn", text, fix, ...(mend !== undefined && { mend }) };
}

export function fail(area: Area, text: string, fix?: string, mend?: () => string): Finding {
  return { area, level: "fail", text, fix, ...(mend !== undefined && { mend }) };
}

/** How long one look may take (ms): the agents' first `--version` takes seconds. */
const checkLimitMs = 45_000;

/** All at once; what one of them throws, or does not tell in time, hides nothing of the others. */
export async function runChecks(checks: readonly Check[], limitMs = checkLimitMs): Promise<Finding[]> {
  const found = await Promise.all(
    checks.map(async ({ area, look }) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<Finding[]>((resolve) => {
        const line = `this could not be looked at within ${limitMs / 1000} s`;
        timer = setTimeout(resolve, limitMs, [warn(area, line, "try again when the machine is less busy")]);
      });
      const looking = (async () => look())().catch((cause: unknown) => [
        fail(area, `this could not be looked at: ${cause instanceof Error ? cause.message : String(cause)}`),
      ]);
      const findings = await Promise.race([looking, late]);
      clearTimeout(timer);
      return findings;
    }),
  );
  return found.flat().sort((a, b) => areas.indexOf(a.area) - areas.indexOf(b.area));
}

/** What became of a finding with `--fix`. */
export interface Told extends Finding {
  /** What was done about it. */
  mended?: string;
  /** Why nothing could be. */
  unmended?: string;
}

/** Puts right what can be, one after the other. */
export function mendAll(findings: readonly Finding[]): Told[] {
  return findings.map((finding) => {
    if (finding.level === "ok" || finding.mend === undefined) return finding;
    try {
      return { ...finding, mended: finding.mend() };
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      return { ...finding, unmended: code ?? message ?? String(cause) };
    }
  });
}

export interface DoctorReport {
  /** Nothing that is meant to work does not. */
  healthy: boolean;
  faults: number;
  warnings: number;
  checks: {
    area: Area;
    level: Level;
    text: string;
    fix: string | null;
    /** Whether `--fix` puts it right. */
    can_fix: boolean;
    /** What `--fix` has done; null where nothing was. */
    fixed: string | null;
  }[];
}

/** What has been put right is neither a fault nor a warning any more. */
export function reportFindings(findings: readonly Told[]): DoctorReport {
  const left = findings.filter(({ mended }) => mended === undefined);
  const count = (level: Level) => left.filter((finding) => finding.level === level).length;
  return {
    healthy: count("fail") === 0,
    faults: count("fail"),
    warnings: count("warn"),
    checks: findings.map(({ area, level, text, fix, mend, mended, unmended }) => ({
      area,
      level: mended === undefined ? level : "ok",
      text: unmended === undefined ? text : `${text} (it could not be mended: ${unmended})`,
      fix: fix ?? null,
      can_fix: mend !== undefined,
      fixed: mended ?? null,
    })),
  };
}
