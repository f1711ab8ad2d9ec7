/** `clutch config edit`: a copy in the user's editor, which takes the file's place once it holds. */

import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFile, readText, replaceConfig } from "../src/config/edit.ts";
import { maskEdit } from "../src/config/mask.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { renderUnifiedDiff } from "../src/config/unified-diff.ts";
import { ClutchError } from "../src/errors.ts";
import { check, renderProblem } from "./config-check.ts";
import { paint } from "./paint.ts";
import { renderDiff } from "./render-diff.ts";

/** @returns the exit status */
export async function editByHand(env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const place = findFile(homes);
  const before = readText(place.path);
  const start = before ?? "{\n  // clutch config schema tells what may stand here\n}\n";
  const copy = openCopy(homes, start);
  for (;;) {
    await runEditor(copy, env);
    const after = readFileSync(copy, "utf8");
    if (after === start) {
      rmSync(copy);
      console.log(`nothing changed: ${place.path}`);
      return 0;
    }
    const { problems } = check(after, place);
    for (const problem of problems) console.error(renderProblem(problem, copy));
    if (problems.every(({ kind }) => kind === "warning")) {
      if (!(await replaceConfig(place.path, before, after))) {
        throw new ClutchError("failed", `${place.path} was changed by somebody else meanwhile`, {
          hint: `nothing was written; your text is ${copy}`,
        });
      }
      rmSync(copy);
      const shown = maskEdit(start, after, place.path);
      console.log(renderDiff(renderUnifiedDiff(shown.before, shown.after, { before: place.path, after: place.path })));
      console.log(paint.dim("a running gateway takes it over within a second"));
      return 0;
    }
    if (!(await wantsToGoOn())) {
      console.error(`clutch: nothing was written to ${place.path}; your text is kept: ${copy}`);
      return 1;
    }
  }
}

/** Nobody but the user may read it: it holds what the config holds. */
function openCopy(homes: Homes, text: string): string {
  const folder = join(homes.stateDir, "edit");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const copy = join(folder, `config-${process.pid}.json`);
  rmSync(copy, { force: true });
  writeFileSync(copy, text, { flag: "wx", mode: 0o600 });
  return copy;
}

async function runEditor(file: string, env: Env): Promise<void> {
  const editor = [env["VISUAL"], env["EDITOR"]].find((command) => (command?.trim() ?? "") !== "") ?? "vi";
  // As git does: the variable may hold a command with arguments.
  const child = Bun.spawn(["/bin/sh", "-c", `${editor} "$1"`, "sh", file], {
    stdio: ["inherit", "inherit", "inherit"],
    // A program of that name in the folder that somebody stands in is not meant.
    env: {
      ...process.env,
      PATH: (env["PATH"] ?? "")
        .split(":")
        .filter((folder) => folder.startsWith("/"))
        .join(":"),
    },
  });
  // What Ctrl-C means is the editor's to say.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  const code = await child.exited;
  process.off("SIGINT", ignore);
  if (code === 0) return;
  throw new ClutchError("failed", `${editor} ended with status ${code}`, {
    hint: `nothing was written; the copy is ${file}; set VISUAL or EDITOR to use another editor`,
  });
}

async function wantsToGoOn(): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
  const { confirm } = await import("@clack/prompts");
  return (await confirm({ message: "Go on editing?", initialValue: true })) === true;
}
