/** `clutch keys` for people. Pure. */

import type { KeyList, KeyReport } from "../gateway/key-schemas.ts";
import { renderClock } from "./clock.ts";
import { type Paint, renderColumns } from "./table.ts";

/** @param note where the list comes from, when it is not from a gateway */
export function renderKeys({ keys }: KeyList, now: number, paint: Paint, note?: string): string {
  const lines = keys.length === 0 ? ["no keys yet: clutch keys create NAME makes one"] : renderTable(keys, now, paint);
  return [...lines, ...(note === undefined ? [] : [paint.dim(note)])].join("\n");
}

function renderTable(keys: readonly KeyReport[], now: number, paint: Paint): string[] {
  const header = ["key", "name", "state", "agents", "models", "a day", "expires", "last used"];
  const rows = keys.map((key) => [
    `clutch-${key.id}-…`,
    key.name,
    key.state,
    key.agents?.join(", ") ?? "any",
    key.models?.join(", ") ?? "any",
    renderAllowance(key.budget) || "no limit",
    at(key.expires_at, now) ?? "never",
    at(key.last_used_at, now) ?? "never",
  ]);
  const paintState = (text: string, row: number) =>
    row === 0 ? text : keys[row - 1]?.state === "valid" ? paint.good(text) : paint.dim(text);
  return renderColumns([header, ...rows], [undefined, undefined, paintState]);
}

/** `$5, 100 requests, warned at $4`; empty where there is no limit. */
export function renderAllowance(budget: KeyReport["budget"]): string {
  if (budget === null) return "";
  const said = (level: "hard" | "soft") =>
    (["usd", "tokens", "requests"] as const).flatMap((unit) => {
      const amount = budget[`${level}_${unit}`] ?? 0;
      return amount === 0 ? [] : [unit === "usd" ? `$${amount}` : `${amount} ${unit}`];
    });
  const soft = said("soft");
  return [...said("hard"), ...(soft.length === 0 ? [] : [`only free models from ${soft.join(" or ")}`])].join(", ");
}

function at(iso: string | null, now: number): string | undefined {
  return iso === null ? undefined : renderClock(Date.parse(iso), now);
}
