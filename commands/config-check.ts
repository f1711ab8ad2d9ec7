/** `clutch config check`: everything that is wrong with a config, or that a gateway would say at its start, with line and column. */

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildProviders } from "../providers/registry.ts";
import {
  type CheckedConfig,
  type ConfigProblem,
  checkConfigText,
  type Finding,
  findingOf,
} from "../src/config/check.ts";
import { findFile, type Place, readText } from "../src/config/edit.ts";
import { maskEdit } from "../src/config/mask.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { type Config, keysWithoutEffect } from "../src/config/schema.ts";
import { parseSettingPath, valueAtPath } from "../src/config/setting-path.ts";
import { ClutchError } from "../src/errors.ts";
import { ruleProblems } from "../src/gateway/rules-check.ts";
import { checkChain } from "../src/lifecycle/chain/change.ts";
import type { Json } from "../src/protocols/chat.ts";
import { paint } from "./paint.ts";

/** @returns 0 when the file holds, 1 when not */
export function checkConfig(file: string | undefined, flags: { json?: boolean }, env: Env): number {
  const place: Place = file === undefined ? findFile(resolveHomes(env)) : { path: file, isLegacy: false };
  const text = readText(place.path);
  if (text === undefined && file !== undefined) {
    throw new ClutchError("config-unreadable", `${file} is not there`, { hint: "correct the path" });
  }
  const { problems, config } = check(text ?? "", place);
  if (text !== undefined && config !== undefined) problems.push(...openToOthers(text, place.path));
  const isValid = problems.every(({ kind }) => kind === "warning");
  if (flags.json) {
    const shown = problems.map(({ hint, ...rest }) => ({ ...rest, hint: hint ?? null }));
    console.log(JSON.stringify({ path: place.path, valid: isValid, problems: shown }));
    return isValid ? 0 : 1;
  }
  for (const problem of problems) console.log(renderProblem(problem, place.path));
  if (text === undefined) console.log(`${place.path} is not there: the defaults are in force`);
  else if (isValid) console.log(paint.good(`${place.path} holds`));
  return isValid ? 0 : 1;
}

/** A text that is, or is going to be, the config at that place. */
export function check(text: string, { path, isLegacy }: Place): CheckedConfig {
  return checkConfigText(text, isLegacy, (config, raw) => lookBeyond(config, raw, path));
}

/** What a gateway or a chain would say at their start. */
function lookBeyond(config: Config, raw: Json, file: string): Finding[] {
  const findings: Finding[] = keysWithoutEffect(raw).map((key) => ({
    kind: "warning",
    path: key.split("."),
    message: `${key} is not in force in this version`,
  }));
  const { custom } = config.routes;
  if (custom !== "" && !existsSync(join(file, "..", custom))) {
    findings.push({
      kind: "warning",
      path: ["routes", "custom"],
      message: `there is no ${custom} beside the config file`,
    });
  }
  try {
    checkChain(config);
  } catch (error) {
    findings.push({ ...findingOf(error), path: ["chain", "services"] });
  }
  try {
    const providers = buildProviders(config, () => undefined);
    const routing = { config, providers, tierLetters: {}, quotas: new Map() };
    findings.push(
      ...ruleProblems(routing).map((message): Finding => ({ ...locate(message, raw), kind: "warning", message })),
    );
  } catch (error) {
    findings.push(findingOf(error));
  }
  return findings;
}

/** The setting that a sentence begins with, where the file has it. */
function locate(message: string, raw: Json): { path: readonly (string | number)[] } {
  const [word = ""] = message.split(" ");
  try {
    const { path } = parseSettingPath(word);
    return { path: valueAtPath(raw, path) === undefined ? [] : path };
  } catch {
    return { path: [] };
  }
}

function openToOthers(text: string, path: string): ConfigProblem[] {
  const isOpen = (statSync(path).mode & 0o077) !== 0;
  const holdsKey = isOpen && maskEdit("", text.trim() === "" ? "{}" : text, path).after !== text;
  if (!holdsKey) return [];
  const message = "it holds a key, and others can read it";
  return [{ kind: "warning", line: 1, column: 1, setting: "", message, hint: `chmod 600 ${path}` }];
}

export function renderProblem({ kind, line, column, message, hint }: ConfigProblem, path: string): string {
  const word = kind === "error" ? paint.bad("error") : paint.warn("warning");
  return `${path}:${line}:${column}: ${word}: ${message}${hint === undefined ? "" : paint.dim(` (${hint})`)}`;
}
