/**
 * What is carried over from the predecessors, as it grows: a config of ours, where each part of it came from, and what
 * stayed behind with the reason. Pure; each source has a file of its own beside this one.
 */

import { catalog, findRow } from "../../providers/catalog.ts";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";

/** A file of the predecessors, as it is called in what people read. */
export type Source = ".env" | "proxy_chain.json" | "config.json";

export interface Carried {
  source: Source;
  /** The source's own name of it, such as `BIG_MODEL`. */
  from: string;
  /** The setting of ours. */
  to: string;
}

export interface LeftBehind {
  source: Source;
  from: string;
  /** The end of a sentence. */
  reason: string;
}

/** An upstream as a predecessor names it. */
export interface Endpoint {
  baseUrl: string | undefined;
  key: string | undefined;
  /** Of Azure's dated API. */
  apiVersion?: string | undefined;
  /** The predecessor's own name of the provider. */
  provider?: string | undefined;
  /** The built-in provider that is meant where there is no address, and no name. */
  usual?: string | undefined;
  /** What the id is to be made of, where the endpoint is none of the built-in providers' own. */
  hint: string;
}

/**
 * A key or a header as a predecessor's file has it. What Clutch would run, or look up in this environment, was a text to the
 * predecessors: taken over as it is, a file that somebody else has written could have commands run, or send the user's other
 * keys to a server of its choice.
 * @returns undefined for such a text, which stays behind
 */
export function takeLiteral(value: string | undefined, from: string, draft: Draft): string | undefined {
  const [, sign] = /^(env|cmd):/.exec(value ?? "") ?? [];
  if (sign === undefined) return value;
  const meaning = sign === "cmd" ? "a command" : "the name of a variable";
  draft.leave(from, `it begins with ${sign}:, which is ${meaning} here: if you mean that, set it yourself`);
  return undefined;
}

/** Sources follow each other, the weakest first: what a later one says otherwise counts. */
export class Draft {
  readonly config: JsonObject = {};
  readonly left: LeftBehind[] = [];
  readonly #carried = new Map<string, Carried>();
  #source: Source = ".env";
  #defaultProvider = "openrouter";

  begin(source: Source): void {
    this.#source = source;
  }

  /** An object is taken member by member. */
  set(path: readonly string[], value: Json, from: string): void {
    if (isObject(value) && Object.keys(value).length > 0) {
      for (const [key, member] of Object.entries(value)) {
        if (member !== undefined)
          this.set(
            [...path, key],
            member,
            from === path.at(-1) || from.endsWith(`.${path.at(-1)}`) ? `${from}.${key}` : from,
          );
      }
      return;
    }
    let holder = this.config;
    for (const key of path.slice(0, -1)) {
      const inner = Object.hasOwn(holder, key) ? holder[key] : undefined;
      const next: JsonObject = isObject(inner) ? inner : {};
      holder[key] = next;
      holder = next;
    }
    const last = path.at(-1) ?? "";
    const to = path.join(".");
    // Nothing is said of members by an object without any.
    if (isObject(value) && isObject(holder[last])) return;
    const before = this.#carried.get(to);
    if (before !== undefined && before.source !== this.#source && !Bun.deepEquals(holder[last], value)) {
      this.left.push({
        source: before.source,
        from: before.from,
        reason: `${this.#source} says otherwise, and counts`,
      });
    }
    holder[last] = value;
    this.carry(from, to);
  }

  /** For what needs no setting of its own. */
  carry(from: string, to: string): void {
    this.#carried.set(to, { source: this.#source, from, to });
  }

  leave(from: string, reason: string): void {
    this.left.push({ source: this.#source, from, reason });
  }

  /** What is in the config now, and where it came from. */
  get carried(): Carried[] {
    return [...this.#carried.values()];
  }

  get defaultProvider(): string {
    return this.#defaultProvider;
  }

  /** Whom a model without a provider is asked of. */
  setDefaultProvider(id: string, from: string): void {
    this.#defaultProvider = id;
    if (id !== "openrouter") this.set(["default_provider"], id, from);
  }

  /**
   * The provider that stands for the endpoint, made where there is none: a built-in one by its address, else one of the
   * user's own.
   */
  provider(endpoint: Endpoint, from: string): string {
    const { baseUrl, key, hint } = endpoint;
    const given = baseUrl === undefined || baseUrl === "" ? undefined : trimPath(baseUrl);
    const member = chainMemberAt(given);
    if (member !== undefined)
      this.leave(
        from,
        `${given} is ${member} itself, which would ask the gateway again: the provider behind it is asked`,
      );
    const base = member === undefined ? given : undefined;
    const builtIn =
      builtInAt(base) ?? (base === undefined ? (namedRow(endpoint.provider) ?? endpoint.usual) : undefined);
    if (endpoint.apiVersion !== undefined && base !== undefined) return this.#azure(base, endpoint, from);
    if (builtIn !== undefined && this.#takesKey(builtIn, key)) {
      if (base !== undefined && !isUsualBase(builtIn, base)) this.set(["providers", builtIn, "base_url"], base, from);
      if (key !== undefined) this.set(["providers", builtIn, "api_key"], key, from);
      return builtIn;
    }
    const at = base ?? this.#ownBase(builtIn ?? this.#defaultProvider) ?? usualBase(builtIn ?? this.#defaultProvider);
    const same = this.#providers().find(
      ([, row]) => row["base_url"] === at && (key === undefined || row["api_key"] === key),
    );
    if (same !== undefined) return same[0];
    const id = this.#freeId(builtIn === undefined ? (endpoint.provider ?? hint) : `${builtIn}-${hint}`);
    if (at !== undefined) this.set(["providers", id, "base_url"], at, from);
    if (builtIn === undefined) this.set(["providers", id, "protocol"], "chat", from);
    if (key !== undefined) this.set(["providers", id, "api_key"], key, from);
    return id;
  }

  /** As our config names it: with the provider where that is not the default one. */
  reference(provider: string, model: string): string {
    return provider === this.#defaultProvider ? model : `${provider}:${model}`;
  }

  /** One deployment of the dated API is one address; its key goes into a header of its own. */
  #azure(base: string, { key, apiVersion = "", hint }: Endpoint, from: string): string {
    const id = this.#freeId(`azure-${hint}`);
    this.set(["providers", id, "base_url"], base, from);
    this.set(["providers", id, "protocol"], "chat", from);
    this.set(["providers", id, "query"], { "api-version": apiVersion }, from);
    if (key !== undefined) this.set(["providers", id, "headers"], { "api-key": key }, from);
    return id;
  }

  #ownBase(id: string): string | undefined {
    const [, row] = this.#providers().find(([name]) => name === id) ?? [];
    return typeof row?.["base_url"] === "string" ? row["base_url"] : undefined;
  }

  /** Whether the provider's own row can hold this key: it has none yet, or the same. */
  #takesKey(id: string, key: string | undefined): boolean {
    const [, row] = this.#providers().find(([name]) => name === id) ?? [];
    return key === undefined || row?.["api_key"] === undefined || row["api_key"] === key;
  }

  #providers(): [string, JsonObject][] {
    const rows = isObject(this.config["providers"]) ? this.config["providers"] : {};
    return Object.entries(rows).flatMap(([id, row]): [string, JsonObject][] => (isObject(row) ? [[id, row]] : []));
  }

  #freeId(wanted: string): string {
    const plain = wanted
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "");
    const base = plain === "" ? "own" : plain;
    const taken = new Set([...Object.keys(catalog), ...this.#providers().map(([id]) => id)]);
    for (let number = 1; ; number++) {
      const id = number === 1 ? base : `${base}-${number}`;
      if (!taken.has(id)) return id;
    }
  }
}

function trimPath(url: string): string {
  return url.trim().replace(/\/(chat\/completions|messages|responses)?\/*$/, "");
}

/** The predecessor's gateway asked Headroom at times, which stands before the gateway here. */
function chainMemberAt(base: string | undefined): string | undefined {
  if (base === undefined || !URL.canParse(base)) return undefined;
  const { hostname, port } = new URL(base);
  if (!/^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname)) return undefined;
  return { "8787": "Headroom", "8082": "the gateway" }[port];
}

/** The built-in provider that lives at this host (and port, for those on this machine). */
function builtInAt(base: string | undefined): string | undefined {
  if (base === undefined || !URL.canParse(base)) return undefined;
  const { protocol, hostname, port, pathname } = new URL(base);
  const isHere = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);
  const found = Object.keys(catalog).filter((id) =>
    Object.values(findRow(id)?.bases ?? {}).some((text) => {
      if (text.includes("<")) return false;
      const row = new URL(text);
      // Its key is not for the same host without encryption.
      return (
        row.protocol === protocol &&
        row.port === port &&
        (row.hostname === hostname || (isHere && row.hostname === "127.0.0.1"))
      );
    }),
  );
  // Of several plans at one host the path decides.
  return (
    found.find((id) => Object.values(findRow(id)?.bases ?? {}).some((text) => new URL(text).pathname === pathname)) ??
    found[0]
  );
}

function isUsualBase(id: string, base: string): boolean {
  const plain = (text: string) => text.replace("//localhost", "//127.0.0.1").replace(/\/v\d[^/]*$/, "");
  return Object.values(findRow(id)?.bases ?? {}).some((text) => plain(text) === plain(base));
}

function usualBase(id: string): string | undefined {
  const bases = findRow(id)?.bases;
  return bases?.chat ?? Object.values(bases ?? {})[0];
}

function namedRow(name: string | undefined): string | undefined {
  const plain = name?.toLowerCase() ?? "";
  return findRow(plain) === undefined ? undefined : plain;
}
