/** What a key's test means for a set-up: whether the key is worth saving. */

import { checkKey, type KeyCheck } from "../../providers/key-check.ts";
import type { Provider } from "../../providers/registry.ts";
import type { Fetch } from "../../providers/upstream.ts";

export interface KeyVerdict {
  /** `unknown`: nothing was heard that would say. */
  kind: "works" | "refused" | "unknown";
  /** A few words for people; never with the key in them. */
  detail: string;
}

/** Somebody waits for it. */
const limitMs = 8_000;

/** Everybody may read their list of models. */
const openLists: ReadonlySet<string> = new Set(["nvidia", "zen", "github"]);

/** Never throws. */
export async function testKey(provider: Provider, key: string, fetch: Fetch): Promise<KeyVerdict> {
  return judge(provider, await checkKey(provider, key, { fetch, now: Date.now, limitMs }));
}

function judge({ id, isBuiltIn }: Provider, { verdict, detail }: KeyCheck): KeyVerdict {
  switch (verdict) {
    case "accepted":
      return isBuiltIn && openLists.has(id)
        ? { kind: "unknown", detail: "its list is open to all, which says nothing of the key" }
        : { kind: "works", detail };
    case "unpaid":
      return { kind: "works", detail: `no credit is left: ${detail}` };
    case "limited":
      return { kind: "works", detail: `its limit is reached for now: ${detail}` };
    case "refused":
      return { kind: "refused", detail };
    case "unproven":
    case "failing":
    case "unreachable":
      return { kind: "unknown", detail };
    default:
      return verdict satisfies never;
  }
}
