/** How much of each budget is used, for people and for programs. Pure. */

import { type AgentId, agentIds } from "../agent-roles.ts";
import type { Allowance } from "../config/allowance.ts";
import type { BudgetReport } from "../gateway/admin-schemas.ts";
import type { BudgetState, Level } from "../gateway/budgets.ts";
import { agentNames } from "../launch-code.ts";
import { asIso, renderClock } from "./clock.ts";
import { type Paint, renderColumns } from "./table.ts";

const agentIdOf = new Map<string, string>(Object.entries(agentIds).map(([id, letter]) => [letter, id]));

export function reportBudget({ scope, allowance, used, breaches, resetsAt }: BudgetState): BudgetReport {
  const isReached = (wanted: Level) => breaches.some((breach) => breach.level === wanted);
  const name = scope.kind === "agent" ? (agentIdOf.get(scope.name) ?? "others") : scope.name;
  return {
    scope: scope.kind,
    name: scope.kind === "day" ? null : name,
    limits: allowance,
    used,
    state: isReached("hard") ? "hard" : isReached("soft") ? "soft" : "ok",
    resets_at: asIso(resetsAt),
  };
}

const meanings = { ok: "ok", soft: "free models only", hard: "refused" } as const;

/** @param note where it comes from, when it is not from a gateway */
export function renderBudgets(budgets: readonly BudgetReport[], now: number, paint: Paint, note?: string): string {
  const lines =
    budgets.length === 0 ? ["nothing is limited: see budgets in the config"] : renderTable(budgets, now, paint);
  return [...lines, ...(note === undefined ? [] : [paint.dim(note)])].join("\n");
}

function renderTable(budgets: readonly BudgetReport[], now: number, paint: Paint): string[] {
  const rows = budgets.map((budget) => [
    nameOf(budget),
    meanings[budget.state],
    renderUsed(budget.used, budget.limits),
    budget.resets_at === null ? "never" : renderClock(Date.parse(budget.resets_at), now),
  ]);
  const paintState = (text: string, row: number) => {
    const state = budgets[row - 1]?.state;
    return state === "hard" ? paint.bad(text) : state === "soft" ? paint.warn(text) : text;
  };
  return renderColumns([["budget", "state", "used", "begins anew"], ...rows], [undefined, paintState]);
}

function nameOf({ scope, name }: BudgetReport): string {
  if (scope === "day") return "the day";
  if (scope !== "agent") return `${scope} ${name}`;
  return name === null || name === "others" ? "agents without a row" : agentNames[agentIds[name as AgentId]];
}

/** `$1.20 (free from $1, end at $5), 12 requests (end at 100)` */
function renderUsed(used: BudgetReport["used"], limits: Allowance): string {
  const parts = (["usd", "tokens", "requests"] as const).flatMap((unit) => {
    const say = (amount: number) => (unit === "usd" ? `$${amount}` : String(amount));
    const soft = limits[`soft_${unit}`] ?? 0;
    const hard = limits[`hard_${unit}`] ?? 0;
    const ends = [...(soft > 0 ? [`free from ${say(soft)}`] : []), ...(hard > 0 ? [`end at ${say(hard)}`] : [])];
    const amount = unit === "usd" ? `$${used.usd.toFixed(2)}` : `${used[unit]} ${unit}`;
    return ends.length === 0 ? [] : [`${amount} (${ends.join(", ")})`];
  });
  return parts.join(", ");
}
