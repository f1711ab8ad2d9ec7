/**
 * Lines of models as their vendors grade them, for choosing where no list at hand has benchmarks (the snapshot that comes with
 * this version has none). Within a line the higher version is the better. Names as of 2026-11-10. Pure.
 */

/** What a vendor makes of a line: its best, its everyday one, its fast one. */
export type Grade = "best" | "everyday" | "fast";

interface Family {
  grade: Grade;
  /** Of the bare name, in lower case; the first group is the version. */
  name: RegExp;
}

const version = "(\\d+(?:[.-]\\d)?)";
const family = (grade: Grade, name: string): Family => ({ grade, name: new RegExp(`^${name}$`) });

/** In each grade the better first. */
const families: readonly Family[] = [
  family("best", `claude-opus-${version}`),
  family("best", `gpt-${version}-sol`),
  family("best", `gemini-${version}-(?:argon|pro)(?:-preview)?`),
  family("best", `grok-${version}`),
  family("best", `kimi-k${version}(?:-pro)?`),
  family("best", `deepseek-v${version}-pro`),
  family("best", `qwen${version}-max(?:-prime)?`),
  family("best", `gpt-${version}`),
  family("everyday", `claude-sonnet-${version}`),
  family("everyday", `gpt-${version}-terra`),
  family("everyday", `glm-${version}`),
  family("everyday", `qwen${version}-plus`),
  family("everyday", `minimax-m${version}`),
  family("everyday", `nemotron-${version}-ultra-.*`),
  family("everyday", `nemotron-${version}-super-.*`),
  family("everyday", `deepseek-v${version}`),
  family("everyday", `mistral-medium-${version}`),
  family("everyday", "gpt-oss-(120)b"),
  family("everyday", `qwen${version}-coder(?:-next)?`),
  family("fast", `claude-haiku-${version}`),
  family("fast", `gpt-${version}-(?:luna|mini)`),
  family("fast", `gemini-${version}-flash(?:-preview)?`),
  family("fast", `deepseek-v${version}-flash`),
  family("fast", `glm-${version}-(?:flash|air)`),
  family("fast", `qwen${version}-flash`),
  family("fast", `minimax-m${version}-flash`),
  family("fast", `nemotron-${version}-nano-.*`),
  family("fast", `nemotron-${version}-lightning.*`),
  family("fast", "gpt-oss-(20)b"),
];

export interface Standing {
  grade: Grade;
  /** The place of the line among all; the least is the best. */
  line: number;
  version: number;
}

/** Undefined for a model of no line that is known. */
export function standingOf(model: string): Standing | undefined {
  const name = plainName(model);
  for (const [line, { grade, name: pattern }] of families.entries()) {
    const found = pattern.exec(name)?.[1];
    if (found !== undefined) return { grade, line, version: Number(found.replace("-", ".")) };
  }
  return undefined;
}

/** Without vendor, variant and date: `claude-haiku-4-5` for `anthropic/claude-haiku-4-5-20251001:free`. */
export function plainName(model: string): string {
  return model
    .slice(model.lastIndexOf("/") + 1)
    .toLowerCase()
    .replace(/:[a-z]+$/, "")
    .replace(/-(20\d{6}|\d{4})$/, "");
}
