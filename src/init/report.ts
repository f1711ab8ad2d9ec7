/** What a set-up has found and done, for people and for scripts. Pure. */

import { findRow } from "../../providers/catalog.ts";
import type { Paint } from "../explain/table.ts";
import type { LeftBehind } from "../migrate/draft.ts";
import { asPlainLine } from "../plain-line.ts";
import type { JsonObject } from "../protocols/chat.ts";
import type { KeyVerdict } from "./key-check.ts";
import type { KeyTest, SetUp } from "./set-up.ts";
import type { Survey } from "./survey.ts";

export interface Told extends SetUp {
  path: string;
  /** Settings that the file has in another way. */
  kept: readonly string[];
  diff: string;
  isWritten: boolean;
  backup: string | undefined;
}

export function describeSurvey(survey: Survey): string[] {
  const { keys, servers, headroom, rtk, tmux } = survey;
  const list = (items: readonly string[], none: string) => (items.length === 0 ? none : items.join(", "));
  const state = (path: string | undefined, without: string) => (path === undefined ? without : "installed");
  return [
    `keys      ${list(
      keys.map(({ name, variable }) => `${name} (${variable})`),
      "none in the environment",
    )}`,
    `agents    ${list(
      survey.agents.map(({ name }) => name),
      "none on PATH",
    )}`,
    `servers   ${list(
      servers.map(({ id, models }) => `${findRow(id)?.name ?? id} (${models.length} models)`),
      "none answers",
    )}`,
    `Headroom  ${state(headroom, "not installed: conversations are not compressed")}`,
    `RTK       ${state(rtk, "not installed")}`,
    `tmux      ${state(tmux, "not installed: agents end with their terminal")}`,
  ];
}

export function describeVerdict(id: string, { kind, detail }: KeyVerdict): string {
  const said = { works: "the key works", refused: "the key was refused", unknown: "the key could not be tested" }[kind];
  return asPlainLine(`${findRow(id)?.name ?? id}: ${said} (${detail})`);
}

export function describeTest(test: KeyTest): string {
  return describeVerdict(test.provider, test) + (test.saved ? "" : ", and is left out");
}

/** Names and values of the predecessors' files, which anybody may have written. */
export function describeLeft({ from, reason }: Pick<LeftBehind, "from" | "reason">): string {
  return asPlainLine(`${from}: ${reason}`);
}

export function describeAsJson({
  path,
  isWritten,
  backup,
  isThere,
  survey,
  files,
  draft,
  tests,
  template,
  notes,
  kept,
  diff,
}: Told): JsonObject {
  return {
    path,
    written: isWritten,
    created: isWritten && !isThere,
    backup: backup ?? null,
    found: {
      keys: survey.keys.map(({ provider, variable }) => ({ provider, variable })),
      agents: survey.agents.map(({ name, path }) => ({ name, path })),
      servers: survey.servers.map(({ id, models }) => ({ provider: id, models: models.map((model) => model.id) })),
      headroom: survey.headroom ?? null,
      rtk: survey.rtk ?? null,
      tmux: survey.tmux ?? null,
    },
    imported: {
      files: Object.values(files).filter((file) => file !== undefined),
      carried: draft.carried.map((row) => ({ ...row })),
      left: draft.left.map((row) => ({ ...row })),
    },
    keys: tests.map(({ provider, source, kind, detail, saved }) => ({
      provider,
      source,
      verdict: kind,
      detail,
      saved,
    })),
    template,
    kept: [...kept],
    notes: [...notes],
    diff,
  };
}

/** As lines, the difference aside. */
export function describeOutcome({ survey, draft, files, tests, notes, kept }: Told, paint: Paint): string[] {
  const imported = Object.values(files).filter((file) => file !== undefined);
  const carried = draft.carried.map(
    ({ source, from, to }) => `  ${paint.dim(source)} ${asPlainLine(`${from} -> ${to}`)}`,
  );
  const left = draft.left.map((row) => `  ${paint.dim(row.source)} ${describeLeft(row)}`);
  return [
    ...describeSurvey(survey),
    ...(imported.length === 0 ? [] : ["", `carried over from ${imported.join(", ")}:`, ...carried]),
    ...(left.length === 0 ? [] : ["not carried over:", ...left]),
    ...(tests.length === 0 ? [] : ["", ...tests.map(describeTest)]),
    ...notes.map((note) => paint.warn(asPlainLine(note))),
    ...(kept.length === 0 ? [] : [asPlainLine(`kept as they are: ${kept.join(", ")}`)]),
  ];
}
