/**
 * What the bench measures and what Clutch is held against: the sections, the measures, and the gates as data.
 * Every ratio is taken inside one round (targets run A B C A B C ...) and the middle round counts.
 */

import type { RouteName, Sample } from "./harness.ts";
import { median } from "./harness.ts";
import type { HeadroomFigures } from "./headroom.ts";
import { decimals, renderTable, signed } from "./report.ts";

/** The gateway with nothing in it that a route is compared with. */
export const baselineOf: Readonly<Record<RouteName, string>> = {
  same: "passthrough",
  translate: "translator",
  routed: "unrouted",
  recorded: "unrecorded",
};

export interface LoadSection {
  id: string;
  title: string;
  route: RouteName;
  /** Size of the request (bytes). */
  bytes: number;
  parallel: number;
  /** Words for mock.cc; undefined asks for a whole answer. */
  stream?: { script: string; chunks: number };
  /** Longer where a round would otherwise see too little CPU time to tell (times `--secs`). */
  length: number;
}

const firstChunk = { script: "n=20 d=1", chunks: 20 };
const paced = { script: "n=100 d=5", chunks: 100 };
const kb = 1000;

/** In the order they run. */
export const loadSections: readonly LoadSection[] = [
  { id: "same-2k", title: "same protocol, 2 KB", route: "same", bytes: 2048, parallel: 16, length: 1 },
  { id: "same-100k", title: "same protocol, 100 KB", route: "same", bytes: 100 * kb, parallel: 16, length: 1 },
  { id: "same-1m", title: "same protocol, 1 MB", route: "same", bytes: 1000 * kb, parallel: 8, length: 1 },
  {
    id: "same-first",
    title: "same protocol, first chunk",
    route: "same",
    bytes: 2048,
    parallel: 1,
    stream: firstChunk,
    length: 1,
  },
  {
    id: "same-paced",
    title: "same protocol, paced streams",
    route: "same",
    bytes: 2048,
    parallel: 32,
    stream: paced,
    length: 2,
  },
  { id: "translate-2k", title: "translation, 2 KB", route: "translate", bytes: 2048, parallel: 16, length: 1 },
  { id: "translate-100k", title: "translation, 100 KB", route: "translate", bytes: 100 * kb, parallel: 16, length: 1 },
  {
    id: "translate-first",
    title: "translation, first chunk",
    route: "translate",
    bytes: 2048,
    parallel: 1,
    stream: firstChunk,
    length: 1,
  },
  {
    id: "translate-paced",
    title: "translation, paced streams",
    route: "translate",
    bytes: 2048,
    parallel: 32,
    stream: paced,
    length: 2,
  },
  { id: "routed-100k", title: "routing, 100 KB", route: "routed", bytes: 100 * kb, parallel: 16, length: 2 },
  { id: "ledger-2k", title: "ledger, 2 KB", route: "recorded", bytes: 2048, parallel: 16, length: 2 },
];

/** Sections that start processes instead of sending load. */
export const startSections = ["start-command", "start-cold", "start-memory", "state-memory", "usage-month"] as const;

/** One pass over all targets, by target name. */
export type Round = Readonly<Record<string, Sample>>;

export interface ColdStarts {
  /** From spawn to the first 200 of /health (ms), one per start. */
  upMs: number[];
  /** From spawn to the first whole model answer (ms), one per start. */
  answerMs: number[];
}

/** What a run has found so far; a section that was left out is absent. */
export interface Results {
  loads: Record<string, Round[]>;
  /** Wall time of a command over a compiled hello. */
  versionRatio?: number;
  /** What `xx` adds to an agent's own start (ms), until it has become the agent. */
  launchMs?: number;
  cold: Record<string, ColdStarts>;
  idleMb: Record<string, number>;
  /** What 10,000 sessions with an endpoint of their own and 5,000 breakers take. */
  stateMb?: number;
  /** `clutch usage month` over a million requests, from start to end (ms). */
  usageMs?: number;
  afterLoadMb: Record<string, { now: number; peak: number }>;
  /** Rows in the largest table of the ledger, and the requests that were answered 200 through the gateway. */
  ledger?: { rows: number; answered: number };
  /** A session straight and through Headroom, by dialect; only where its program was given. */
  headroom?: HeadroomFigures[];
}

/** What is held against the gates. */
export const subject = "clutch";

type Measure = (results: Results) => number;

function overRounds(section: string, measure: (round: Round) => number): Measure {
  return (results) => median((results.loads[section] ?? []).map(measure));
}

function rateShare(section: string, baseline: string): Measure {
  return overRounds(
    section,
    (round) => 100 * ratio(round[subject]?.requestsPerSecond, round[baseline]?.requestsPerSecond),
  );
}

function cpuRatio(section: string, baseline: string): Measure {
  return overRounds(section, (round) => ratio(cpuPerUnit(round[subject]), cpuPerUnit(round[baseline])));
}

function addedPerChunk(section: string, baseline: string): Measure {
  return overRounds(section, (round) => minus(round[subject]?.chunkDelay?.p50, round[baseline]?.chunkDelay?.p50));
}

function addedToFirstChunk(section: string): Measure {
  return overRounds(section, (round) => minus(round[subject]?.firstChunk?.p50, round["direct"]?.firstChunk?.p50));
}

function ratio(value: number | undefined, of: number | undefined): number {
  return value === undefined || of === undefined || of === 0 ? Number.NaN : value / of;
}

function minus(value: number | undefined, other: number | undefined): number {
  return value === undefined || other === undefined ? Number.NaN : value - other;
}

/** Less than this is too few clock ticks of 10 ms to tell anything from (seconds). */
const leastCpuSeconds = 0.05;

/** Seconds per content chunk of a stream, or per request. */
function cpuPerUnit(sample: Sample | undefined): number | undefined {
  if (sample === undefined || sample.cpuSeconds < leastCpuSeconds) return undefined;
  return ratio(sample.cpuSeconds, sample.chunks > 0 ? sample.chunks : sample.requests);
}

export interface Gate {
  issue: 2 | 3 | 4 | 5 | 7;
  section: string;
  what: string;
  measure: Measure;
  limit: number;
  /** Whether `limit` is the least or the most that passes. */
  sense: "least" | "most";
  unit: "%" | "x" | "ms" | "MB";
  places: number;
}

/** In the order of the issues that ask for them. */
export const gates: readonly Gate[] = [
  gate(2, "same-2k", "2 KB: req/s, of the passthrough", rateShare("same-2k", "passthrough"), "least", 60, "%"),
  gate(2, "same-100k", "100 KB: req/s, of the passthrough", rateShare("same-100k", "passthrough"), "least", 60, "%"),
  gate(
    2,
    "same-100k",
    "100 KB: CPU per request, to the passthrough",
    cpuRatio("same-100k", "passthrough"),
    "most",
    1.6,
    "x",
  ),
  gate(2, "start-cold", "cold start to first answer", (r) => median(r.cold[subject]?.upMs ?? []), "most", 30, "ms"),
  gate(
    2,
    "start-command",
    "clutch --version, to a compiled hello",
    (r) => r.versionRatio ?? Number.NaN,
    "most",
    1.5,
    "x",
  ),
  gate(4, "start-command", "xx cip, over the agent alone", (r) => r.launchMs ?? Number.NaN, "most", 8, "ms"),
  gate(2, "start-memory", "idle RSS", (r) => r.idleMb[subject] ?? Number.NaN, "most", 60, "MB"),
  gate(3, "translate-2k", "2 KB: req/s, of the translator", rateShare("translate-2k", "translator"), "least", 60, "%"),
  gate(
    3,
    "translate-100k",
    "100 KB: CPU per request, to the translator",
    cpuRatio("translate-100k", "translator"),
    "most",
    1.3,
    "x",
  ),
  gate(
    3,
    "translate-paced",
    "paced: CPU per chunk, to the translator",
    cpuRatio("translate-paced", "translator"),
    "most",
    1.4,
    "x",
  ),
  gate(
    3,
    "translate-paced",
    "paced: p50 per chunk, over the translator",
    addedPerChunk("translate-paced", "translator"),
    "most",
    0.15,
    "ms",
  ),
  gate(
    3,
    "translate-first",
    "time to first chunk, over direct",
    addedToFirstChunk("translate-first"),
    "most",
    0.6,
    "ms",
  ),
  gate(
    3,
    "same-100k",
    "same protocol 100 KB: CPU, to the passthrough",
    cpuRatio("same-100k", "passthrough"),
    "most",
    1.6,
    "x",
  ),
  gate(
    3,
    "same-1m",
    "same protocol 1 MB: CPU, to the passthrough",
    cpuRatio("same-1m", "passthrough"),
    "most",
    1.6,
    "x",
  ),
  gate(5, "routed-100k", "routing, 100 KB: CPU, to none of it", cpuRatio("routed-100k", "unrouted"), "most", 1.1, "x"),
  gate(5, "state-memory", "10,000 sessions, 5,000 breakers", (r) => r.stateMb ?? Number.NaN, "most", 30, "MB"),
  gate(
    7,
    "ledger-2k",
    "2 KB: req/s with the ledger, of without",
    rateShare("ledger-2k", "unrecorded"),
    "least",
    95,
    "%",
  ),
  gate(7, "usage-month", "usage month, a million requests", (r) => r.usageMs ?? Number.NaN, "most", 300, "ms"),
];

function gate(
  issue: Gate["issue"],
  section: string,
  what: string,
  measure: Measure,
  sense: Gate["sense"],
  limit: number,
  unit: Gate["unit"],
): Gate {
  const places = { "%": 0, x: 2, ms: limit < 10 ? 2 : 0, MB: 0 }[unit];
  return { issue, section, what, measure, limit, sense, unit, places };
}

export interface Verdict {
  gate: Gate;
  value: number;
  isMet: boolean;
  /** Why a good number does not count, or a number is missing. */
  note: string;
}

/** A gate over answers that were wrong is missed, however fast they came; so is one that could not be measured. */
export function judge(results: Results, ranSections: ReadonlySet<string>): Verdict[] {
  return gates
    .filter((gate) => ranSections.has(gate.section))
    .map((gate) => {
      const value = gate.measure(results);
      const bad = badCount(results.loads[gate.section] ?? [], subject);
      const isInside = gate.sense === "least" ? value >= gate.limit : value <= gate.limit;
      const note = Number.isNaN(value) ? "not measured" : bad > 0 ? `${bad} bad answers` : "";
      return { gate, value, isMet: isInside && note === "", note };
    });
}

export function renderVerdicts(verdicts: readonly Verdict[], issue: Gate["issue"]): string {
  const rows = verdicts
    .filter(({ gate }) => gate.issue === issue)
    .map(({ gate, value, isMet, note }) => [
      gate.what,
      `${decimals(value, gate.places)} ${gate.unit}`,
      `${gate.sense === "least" ? ">=" : "<="} ${gate.limit} ${gate.unit}`,
      isMet ? "ok" : note === "" ? "MISS" : `MISS (${note})`,
    ]);
  return renderTable([`issue ${issue}`, "measured", "gate", "verdict"], rows);
}

function badCount(rounds: readonly Round[], target: string): number {
  return rounds.reduce((sum, round) => sum + (round[target]?.bad ?? 0), 0);
}

/** All targets of one section beside each other; shares and ratios are to the section's baseline. */
export function renderSection(section: LoadSection, rounds: readonly Round[]): string {
  const names = Object.keys(rounds[0] ?? {});
  const baseline = baselineOf[section.route];
  const middle = (name: string, pick: (sample: Sample) => number | undefined) =>
    median(rounds.map((round) => (round[name] === undefined ? Number.NaN : (pick(round[name]) ?? Number.NaN))));
  const paired = (name: string, other: string, pair: (a: Sample, b: Sample) => number) =>
    median(
      rounds.map((round) => {
        const [a, b] = [round[name], round[other]];
        return a === undefined || b === undefined ? Number.NaN : pair(a, b);
      }),
    );
  const cpuOf = (name: string) => 1e6 * middle(name, cpuPerUnit);
  const cpuTo = (name: string) => paired(name, baseline, (a, b) => ratio(cpuPerUnit(a), cpuPerUnit(b)));
  const title = `### ${section.title}, ${section.parallel} parallel (${section.id})\n\n`;
  if (section.stream === undefined) {
    const rate = (sample: Sample) => sample.requestsPerSecond;
    const rows = names.map((name) => [
      name,
      decimals(middle(name, rate), 0),
      decimals(100 * paired(name, "direct", (a, b) => rate(a) / rate(b)), 1),
      decimals(100 * paired(name, baseline, (a, b) => rate(a) / rate(b)), 1),
      decimals(
        middle(name, (sample) => sample.latency?.p50),
        2,
      ),
      decimals(
        middle(name, (sample) => sample.latency?.p99),
        2,
      ),
      name === "direct" ? "-" : decimals(cpuOf(name), 0),
      name === "direct" ? "-" : decimals(cpuTo(name), 2),
      String(badCount(rounds, name)),
    ]);
    const head = [
      "target",
      "req/s",
      "% of direct",
      `% of ${baseline}`,
      "p50 ms",
      "p99 ms",
      "CPU us/request",
      "ratio",
      "bad",
    ];
    return title + renderTable(head, rows);
  }
  const rows = names.map((name) => [
    name,
    decimals(
      middle(name, (sample) => sample.chunksPerSecond),
      0,
    ),
    decimals(
      middle(name, (sample) => sample.firstChunk?.p50),
      2,
    ),
    signed(
      paired(name, "direct", (a, b) => minus(a.firstChunk?.p50, b.firstChunk?.p50)),
      2,
    ),
    signed(
      paired(name, "direct", (a, b) => minus(a.chunkDelay?.p50, b.chunkDelay?.p50)),
      3,
    ),
    signed(
      paired(name, "direct", (a, b) => minus(a.chunkDelay?.p99, b.chunkDelay?.p99)),
      3,
    ),
    signed(
      paired(name, baseline, (a, b) => minus(a.chunkDelay?.p50, b.chunkDelay?.p50)),
      3,
    ),
    name === "direct" ? "-" : decimals(cpuOf(name), 1),
    name === "direct" ? "-" : decimals(cpuTo(name), 2),
    String(badCount(rounds, name)),
  ]);
  const head = [
    ...["target", "chunks/s", "first ms", "added", "chunk p50 added", "p99 added"],
    ...[`p50 over ${baseline}`, "CPU us/chunk", "ratio", "bad"],
  ];
  return title + renderTable(head, rows);
}
