/** `clutch doctor --rtk`: whether the real RTK is here, where it is wired in, and whether it tells how commands end. */

import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { renderColumns } from "../src/explain/table.ts";
import { checkRtkExitCodes, type RtkCheck } from "../src/lifecycle/chain/rtk-exit-codes.ts";
import { paint } from "./paint.ts";

/** @returns 0 when it is well or not installed, 3 when it swallows an exit status or is another tool */
export async function checkRtk(names: readonly string[], isJson: boolean, env: Env): Promise<number> {
  if (names.length > 0)
    throw new ClutchError("usage", `--rtk takes no agents, not "${names[0]}"`, { hint: "leave them out" });
  const { cacheDir } = resolveHomes(env);
  const check = await checkRtkExitCodes({ env, home: env["HOME"] ?? "/", cacheDir });
  console.log(isJson ? renderJson(check) : render(check));
  return isFaulty(check) ? 3 : 0;
}

function isFaulty({ rtk, checks }: RtkCheck): boolean {
  return rtk.state === "impostor" || checks.some(({ verdict }) => verdict === "differs");
}

function render(check: RtkCheck): string {
  const { rtk, checks } = check;
  const head = `RTK ${rtk.version ?? ""}`.trim();
  const where = rtk.state === "installed" ? ` (${rtk.path})` : "";
  const lines = [`${paint.bold(head)}${where}: ${rtk.detail}`];
  if (rtk.hint !== undefined) lines.push(`  ${rtk.hint}`);
  if (checks.length === 0) return lines.join("\n");
  const words = { same: "ok", differs: "swallowed", "not-run": "not run" } as const;
  const cells = checks.map(({ command, direct, through, verdict }) => [
    `  ${command}`,
    verdict === "not-run" ? "" : `ends with ${direct}, through RTK ${through ?? "not in time"}`,
    verdict === "differs" && through !== 0 ? "changed" : words[verdict],
  ]);
  const paintVerdict = (text: string, row: number) => {
    const verdict = checks[row]?.verdict;
    return verdict === "same" ? paint.good(text) : verdict === "differs" ? paint.bad(text) : paint.dim(text);
  };
  lines.push(...renderColumns(cells, [undefined, undefined, paintVerdict]));
  if (isFaulty(check)) {
    lines.push("An agent takes what failed for done. Until RTK is mended: RTK_DISABLED=1, or rtk init -g --uninstall");
  }
  return lines.join("\n");
}

function renderJson({ rtk, checks }: RtkCheck): string {
  return JSON.stringify({
    rtk: {
      state: rtk.state,
      path: rtk.path ?? null,
      version: rtk.version ?? null,
      wired_agents: rtk.wiredAgents,
      tokens_saved: rtk.tokensSaved ?? null,
      detail: rtk.detail,
      hint: rtk.hint ?? null,
      exit_codes: checks,
    },
  });
}
