/**
 * The keys that open the gateway, in memory: a request is judged without the disk, and what is revoked here is refused from
 * that moment on. Of a key only its hash is kept. The secret in it is 256 random bits, which nobody can guess or look up in
 * a table, so one round of SHA-256 is enough; slow hashes are for passwords, which people choose.
 */

import { makeAccessKey, parseAccessKey } from "../access-key.ts";
import type { Allowance } from "../config/allowance.ts";
import { ClutchError } from "../errors.ts";
import { isObject } from "../protocols/json.ts";
import type { KeyQueries } from "../store/keys.ts";
import type { KeyRow } from "../store/schema.ts";
import { compileGlobs } from "./globs.ts";

/** What a key is good for. */
export interface KeyTerms {
  /** For people; no two valid keys have the same. */
  name: string;
  /** Letters of agents; undefined is any. */
  agents?: readonly string[] | undefined;
  /** Patterns of `provider:model` or of the model alone; undefined is any. */
  models?: readonly string[] | undefined;
  /** A day's. */
  budget?: Allowance | undefined;
  /** Milliseconds since 1970; undefined never expires. */
  expiresAt?: number | undefined;
}

export interface Key extends KeyTerms {
  id: string;
  createdAt: number;
  revokedAt?: number | undefined;
  lastUsedAt?: number | undefined;
  /** Whether it may be served by this model. */
  admitsModel(provider: string, model: string): boolean;
}

export type KeyState = "valid" | "expired" | "revoked";

export type KeyVerdict =
  | { kind: "valid"; key: Key }
  /** The whole key is right, and yet it is good for nothing any more. */
  | { kind: "expired" | "revoked"; key: Key; at: number }
  | { kind: "unknown" };

/** A key that has just been made: the only time that its text is known. */
export interface NewKey {
  key: Key;
  text: string;
}

export interface KeyringDeps {
  queries: KeyQueries;
  /** Milliseconds since 1970. */
  now(): number;
}

interface Entry {
  key: Key;
  hash: Uint8Array;
  row: KeyRow;
}

/** When a key was used last is written this often at most (ms). */
const useMs = 60_000;

/** Compared with where there is no key of that id, so that an id that exists does not show by the time it takes. */
const noHash = new Uint8Array(32);

export class Keyring {
  readonly #deps: KeyringDeps;
  #entries = new Map<string, Entry>();
  #uses = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(deps: KeyringDeps) {
    this.#deps = deps;
  }

  async restore(): Promise<void> {
    this.#entries = new Map((await this.#deps.queries.load()).map((row) => [row.id, toEntry(row)]));
  }

  /** In constant time but for the id, which is no secret. */
  judge(text: string): KeyVerdict {
    const parsed = parseAccessKey(text);
    const entry = parsed === undefined ? undefined : this.#entries.get(parsed.id);
    const isRight = crypto.timingSafeEqual(hashOf(text), entry?.hash ?? noHash);
    if (entry === undefined || !isRight) return { kind: "unknown" };
    const { key } = entry;
    if (key.revokedAt !== undefined) return { kind: "revoked", key, at: key.revokedAt };
    const now = this.#deps.now();
    if (key.expiresAt !== undefined && key.expiresAt <= now) return { kind: "expired", key, at: key.expiresAt };
    this.#noteUse(entry, now);
    return { kind: "valid", key };
  }

  get(id: string): Key | undefined {
    return this.#entries.get(id)?.key;
  }

  /** The oldest first. */
  list(): Key[] {
    return [...this.#entries.values()].map(({ key }) => key);
  }

  stateOf(key: Key): KeyState {
    if (key.revokedAt !== undefined) return "revoked";
    return key.expiresAt !== undefined && key.expiresAt <= this.#deps.now() ? "expired" : "valid";
  }

  /** @throws {ClutchError} `usage` for a name that another valid key has; `failed` when it cannot be written */
  async create(terms: KeyTerms): Promise<NewKey> {
    if (this.#valid().some(({ name }) => name === terms.name)) {
      throw new ClutchError("usage", `there is a key named ${JSON.stringify(terms.name)} already`, {
        hint: "give another name, or use clutch keys rotate",
      });
    }
    const made = this.#make(terms);
    await this.#write([made.entry.row]);
    this.#entries.set(made.entry.key.id, made.entry);
    return { key: made.entry.key, text: made.text };
  }

  /**
   * From now on it opens nothing; twice is once.
   * @param name its id, the beginning of it, its name, or the key itself
   * @throws {ClutchError} `failed` when no single key is meant, or when it cannot be written: then it is revoked until the restart
   */
  async revoke(name: string): Promise<Key> {
    const entry = this.#find(name);
    if (entry.key.revokedAt !== undefined) return entry.key;
    this.#change(entry, { revokedAt: this.#deps.now() });
    await this.#write([entry.row]);
    return entry.key;
  }

  /**
   * A new key on the same terms in place of one.
   * @param graceMs how long the old one is still good; 0 ends it at once
   * @throws {ClutchError} as `revoke`
   */
  async rotate(name: string, graceMs: number): Promise<NewKey & { old: Key }> {
    const entry = this.#find(name);
    const { key } = entry;
    const state = this.stateOf(key);
    const now = this.#deps.now();
    if (state === "revoked") {
      throw new ClutchError("usage", `the key ${describeKey(key)} is revoked`, {
        hint: "make one with clutch keys create",
      });
    }
    // An expired key is rotated to be used again, for as long as it was good for the first time.
    const expiresAt = key.expiresAt === undefined ? undefined : now + (key.expiresAt - key.createdAt);
    const made = this.#make({ ...key, expiresAt: state === "expired" ? expiresAt : key.expiresAt });
    const end = Math.min(now + graceMs, key.expiresAt ?? Number.POSITIVE_INFINITY);
    const before = entry.row;
    this.#change(entry, graceMs === 0 ? { revokedAt: now } : { expiresAt: end });
    try {
      await this.#write([entry.row, made.entry.row]);
    } catch (cause) {
      // Nobody has the new one, so the old one stays good.
      Object.assign(entry, toEntry(before));
      throw cause;
    }
    this.#entries.set(made.entry.key.id, made.entry);
    return { key: made.entry.key, text: made.text, old: entry.key };
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#uses.size === 0) return;
    const uses = this.#uses;
    this.#uses = new Map();
    try {
      await this.#deps.queries.noteUses(uses);
    } catch {
      // Only `clutch keys list` misses it.
    }
  }

  #valid(): Key[] {
    return this.list().filter((key) => this.stateOf(key) === "valid");
  }

  #make(terms: KeyTerms): { entry: Entry; text: string } {
    let made = makeAccessKey();
    while (this.#entries.has(made.id)) made = makeAccessKey();
    const { id, text } = made;
    const row: KeyRow = {
      id,
      name: terms.name,
      hash: Buffer.from(hashOf(text)).toString("hex"),
      createdAt: this.#deps.now(),
      expiresAt: terms.expiresAt ?? null,
      revokedAt: null,
      agents: terms.agents === undefined ? null : JSON.stringify(terms.agents),
      models: terms.models === undefined ? null : JSON.stringify(terms.models),
      budget: terms.budget === undefined ? null : JSON.stringify(terms.budget),
      lastUsedAt: null,
    };
    return { entry: toEntry(row), text };
  }

  #find(name: string): Entry {
    const wanted = parseAccessKey(name)?.id ?? name.replace(/^clutch-/, "").replace(/-…?$/, "");
    const all = [...this.#entries.values()];
    const exact = this.#entries.get(wanted);
    if (exact !== undefined) return exact;
    // A valid key's name is its own; those of the past may have had it too.
    const valid = this.#valid();
    const named = all.filter(({ key }) => key.name === name);
    const found = [
      named.filter(({ key }) => valid.includes(key)),
      named,
      wanted.length < 2 ? [] : all.filter(({ key }) => key.id.startsWith(wanted)),
    ].find((some) => some.length > 0);
    const [only, other] = found ?? [];
    if (only === undefined) {
      throw new ClutchError("failed", `there is no key ${JSON.stringify(shortened(name))}`, {
        hint: "see clutch keys list",
      });
    }
    if (other === undefined) return only;
    const ids = (found ?? []).map(({ key }) => key.id).join(", ");
    throw new ClutchError("failed", `several keys are ${JSON.stringify(shortened(name))}: ${ids}`, {
      hint: "name one by its id",
    });
  }

  #change(entry: Entry, change: Partial<Pick<KeyRow, "revokedAt" | "expiresAt">>): void {
    Object.assign(entry, toEntry({ ...entry.row, ...change }));
  }

  async #write(rows: readonly KeyRow[]): Promise<void> {
    try {
      await this.#deps.queries.save(rows);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ClutchError("failed", `keys cannot be written (${reason})`, { hint: "see clutch doctor", cause });
    }
  }

  #noteUse({ key, row }: Entry, now: number): void {
    if (key.lastUsedAt !== undefined && Math.abs(now - key.lastUsedAt) < useMs) return;
    key.lastUsedAt = now;
    row.lastUsedAt = now;
    this.#uses.set(key.id, now);
    this.#timer ??= setTimeout(() => void this.close(), 1000);
  }
}

/** `ci (3f9k2m7q)` */
export function describeKey({ name, id }: Pick<Key, "name" | "id">): string {
  return `${name} (${id})`;
}

function toEntry(row: KeyRow): Entry {
  const models = parseList(row.models);
  const isMatch = models === undefined ? undefined : compileGlobs(models);
  const budget = row.budget === null ? undefined : (JSON.parse(row.budget) as Allowance);
  const key: Key = {
    id: row.id,
    name: row.name,
    agents: parseList(row.agents),
    models,
    budget: isObject(budget) ? budget : undefined,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt ?? undefined,
    revokedAt: row.revokedAt ?? undefined,
    lastUsedAt: row.lastUsedAt ?? undefined,
    admitsModel: (provider, model) => isMatch === undefined || isMatch(model) || isMatch(`${provider}:${model}`),
  };
  return { key, hash: Buffer.from(row.hash, "hex"), row };
}

function parseList(text: string | null): string[] | undefined {
  return text === null ? undefined : (JSON.parse(text) as string[]);
}

function hashOf(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}

/** Whoever pastes a key in place of its name must not find it in a log. */
function shortened(name: string): string {
  return name.length > 24 ? `${name.slice(0, 16)}…` : name;
}
