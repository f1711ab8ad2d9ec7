/**
 * How often each rule has decided, and which configured ones never do. Counting is in memory; the file is written behind,
 * so that a week without a hit is a week and not the time since the last start.
 */

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { z } from "zod";
import { agentIds } from "../agent-roles.ts";
import type { Config } from "../config/schema.ts";
import type { ruleHit } from "./admin-schemas.ts";

/** A rule that was configured this long ago and has matched nothing since its start or last hit is worth a word (ms). */
export const idleRuleMs = 7 * 24 * 3_600_000;

/** How long counts wait before they are written (ms). */
const saveAfterMs = 5_000;

export type RuleHit = z.infer<typeof ruleHit>;

/** Where counts survive a restart. */
export interface HitStore {
  load(): Promise<RuleHit[]>;
  save(hits: readonly RuleHit[]): Promise<void>;
}

/** The rules that the config turns on, by their keys. */
export function configuredRules(config: Config): string[] {
  const { routes } = config;
  const tasks = ["image", "web_search", "think", "background", "default", "custom"] as const;
  const roles = (Object.keys(agentIds) as (keyof typeof agentIds)[]).flatMap((id) =>
    filledKeys(config.agents[id]?.roles ?? {}).map((role) => `agents.${id}.roles.${role}`),
  );
  return [
    ...filledKeys(config.mappings).map((name) => `mappings.${name}`),
    ...tasks.filter((task) => routes[task] !== "").map((task) => `routes.${task}`),
    ...(routes.long_context.model === "" ? [] : ["routes.long_context"]),
    ...roles,
    ...filledKeys(config.agents.claude?.subagents ?? {}).map((name) => `agents.claude.subagents.${name}`),
  ];
}

function filledKeys(table: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(table).filter((key) => table[key] !== "" && table[key] !== undefined);
}

export class RuleHits {
  readonly #store: HitStore;
  readonly #now: () => number;
  #hits = new Map<string, RuleHit>();
  #configured: readonly string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param now milliseconds since 1970 */
  constructor(store: HitStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Before the first `configure`. What is stored is added to what was counted meanwhile. */
  async restore(): Promise<void> {
    for (const hit of await this.#store.load()) this.#hits.set(hit.rule, hit);
  }

  /** Rules that are no longer configured are forgotten; new ones count from now. */
  configure(rules: readonly string[]): void {
    for (const rule of this.#configured) if (!rules.includes(rule)) this.#hits.delete(rule);
    for (const rule of this.#hits.keys()) if (rule.includes(".") && !rules.includes(rule)) this.#hits.delete(rule);
    this.#configured = rules;
    for (const rule of rules) this.#entry(rule);
    this.#schedule();
  }

  count(rule: string): void {
    const hit = this.#entry(rule);
    hit.hits += 1;
    hit.last_hit_at = this.#now();
    this.#schedule();
  }

  /** Configured rules in the config's order, then the others. */
  list(): RuleHit[] {
    const others = [...this.#hits.keys()].filter((rule) => !this.#configured.includes(rule)).sort();
    return [...this.#configured, ...others].map((rule) => ({ ...this.#entry(rule) }));
  }

  /** One line for each configured rule that has matched nothing for a week. */
  problems(): string[] {
    const before = this.#now() - idleRuleMs;
    return this.#configured.flatMap((rule) => {
      const { hits, last_hit_at, since } = this.#entry(rule);
      if ((last_hit_at ?? since) > before) return [];
      const day = new Date(last_hit_at ?? since).toISOString().slice(0, 10);
      return hits === 0
        ? `${rule} has matched nothing since it was configured on ${day}`
        : `${rule} has matched nothing since ${day}`;
    });
  }

  /** The last write. */
  async close(): Promise<void> {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#save();
  }

  #entry(rule: string): RuleHit {
    let hit = this.#hits.get(rule);
    if (hit === undefined) {
      hit = { rule, hits: 0, last_hit_at: null, since: this.#now() };
      this.#hits.set(rule, hit);
    }
    return hit;
  }

  #schedule(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#save();
    }, saveAfterMs);
    this.#timer.unref();
  }

  /** Counts are worth no error: what is not written now is written with the next hit. */
  async #save(): Promise<void> {
    await this.#store.save(this.list()).catch(() => {});
  }
}

/** A small JSON file, 0600 in a folder of 0700, replaced as a whole. */
export function hitFile(path: string): HitStore {
  return {
    async load() {
      try {
        const value: unknown = JSON.parse(await readFile(path, "utf8"));
        return Array.isArray(value) ? value.filter(isHit) : [];
      } catch {
        return [];
      }
    },
    async save(hits) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const fresh = `${path}.${process.pid}.new`;
      await writeFile(fresh, JSON.stringify(hits), { mode: 0o600 });
      await rename(fresh, path);
    },
  };
}

function isHit(value: unknown): value is RuleHit {
  if (typeof value !== "object" || value === null) return false;
  const { rule, hits, last_hit_at, since } = value as Partial<Record<keyof RuleHit, unknown>>;
  return (
    typeof rule === "string" &&
    typeof hits === "number" &&
    typeof since === "number" &&
    (last_hit_at === null || typeof last_hit_at === "number")
  );
}
