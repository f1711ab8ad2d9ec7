/** Shows a launch plan in place of running it: JSON for programs, text for people; the launch token is masked in both. Pure. */

import { maskLaunchToken } from "../src/launch-token.ts";
import type { LaunchPlan } from "./plan.ts";

/** `{cwd, file, argv, env: {set, unset}, files: [{path, mode, content}], notes}`; `mode` is octal text. */
export function renderPlanJson(plan: LaunchPlan): string {
  const { cwd, file, argv, env, files, notes } = maskPlan(plan);
  const shownFiles = files.map(({ path, mode, content }) => ({ path, mode: renderMode(mode), content }));
  return JSON.stringify({ cwd, file, argv, env, files: shownFiles, notes }, null, 2);
}

/** One labelled block per part of the plan; the command can be pasted into a shell. */
export function renderPlanText(plan: LaunchPlan): string {
  const { cwd, file, argv, env, files, notes } = maskPlan(plan);
  const sections: [label: string, lines: string[]][] = [
    ["cwd", [cwd]],
    ["set", Object.entries(env.set).map(([name, value]) => `${name}=${quoteForShell(value)}`)],
    ["unset", env.unset],
    [
      "file",
      files.flatMap(({ path, mode, content }) => [
        `${path} (${renderMode(mode)})`,
        ...content
          .trimEnd()
          .split("\n")
          .map((line) => `  ${line}`),
      ]),
    ],
    ["run", [[file, ...argv].map(quoteForShell).join(" ")]],
    ["note", notes],
  ];
  return sections
    .flatMap(([label, lines]) => lines.map((line, index) => `${(index === 0 ? label : "").padEnd(7)}${line}`))
    .join("\n");
}

/** Leaves plain words alone and puts everything else in single quotes. */
function quoteForShell(word: string): string {
  return /^[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function maskPlan(plan: LaunchPlan): LaunchPlan {
  const { token } = plan;
  if (token === undefined) return plan;
  const mask = (text: string) => text.replaceAll(token, maskLaunchToken(token));
  return {
    ...plan,
    argv: plan.argv.map(mask),
    env: {
      set: Object.fromEntries(Object.entries(plan.env.set).map(([name, value]) => [name, mask(value)])),
      unset: plan.env.unset,
    },
    files: plan.files.map((file) => ({ ...file, content: mask(file.content) })),
  };
}

function renderMode(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
