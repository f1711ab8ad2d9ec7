/** Who is let in, and by what: the launch secret of this user, or a key that `clutch keys` has made. No I/O. */

import { looksLikeAccessKey } from "../access-key.ts";
import { agentNames, isAgentLetter } from "../launch-code.ts";
import type { GatewayError } from "../protocols/codec.ts";
import type { GuessBrake } from "./guess-brake.ts";
import { describeKey, type Key, type Keyring } from "./keyring.ts";
import type { Caller } from "./recognise.ts";

export type Admission =
  /** `grant` is undefined for launches of this user, and for everybody where no key is required. */
  { ok: true; grant: Key | undefined } | { ok: false; error: GatewayError };

export interface GateDeps {
  /** Whether nobody is let in without a key. */
  requireKey: boolean;
  keyring: Pick<Keyring, "judge">;
  brake: GuessBrake;
  /** Undefined while there is none. */
  launchSecret(): string | undefined;
  /** For a secret that is not the one in memory: read anew. */
  freshLaunchSecret(): string | undefined;
}

const open: Admission = { ok: true, grant: undefined };

/** Stands for the launch secret where keys are told apart by their ids. */
const launch = "launch";

/** Where the socket's address is not known, all share one. */
const somewhere = "unknown";

export class Gate {
  readonly #deps: GateDeps;

  constructor(deps: GateDeps) {
    this.#deps = deps;
  }

  /** @param findAddress of the socket's other end; asked only where it matters */
  admit(caller: Caller, findAddress: () => string | undefined): Admission {
    const shown = caller.launch?.secret ?? caller.key;
    // A key of ours counts where none is needed too: its holder relies on its limits.
    const isOurs = looksLikeAccessKey(shown);
    if (!this.#deps.requireKey && !isOurs) return open;
    if (shown === undefined || shown === "") return refused("authentication", noKey);
    const address = findAddress() ?? somewhere;
    const { brake } = this.#deps;
    const name = isOurs ? shown.slice(0, 15) : launch;
    const waitMs = brake.waitMs(address);
    if (waitMs > 0 && !brake.isExempt(address, name)) return tooMany(waitMs);
    if (!isOurs) {
      if (caller.launch !== undefined && caller.launch.secret === undefined) {
        return refused(
          "authentication",
          "this launch has no key, and this gateway requires one: start the agent anew with xx",
        );
      }
      if (caller.launch !== undefined && this.#isLaunchSecret(shown)) {
        brake.succeeded(address, launch);
        return open;
      }
      return this.#wrong(address, waitMs, explainForeign(shown));
    }
    const verdict = this.#deps.keyring.judge(shown);
    if (verdict.kind === "unknown") return this.#wrong(address, waitMs, explainUnknown(shown));
    const { key } = verdict;
    if (verdict.kind !== "valid") {
      const when = new Date(verdict.at).toISOString();
      const became = verdict.kind === "expired" ? `expired at ${when}` : `was revoked at ${when}`;
      return refused("authentication", `the key ${describeKey(key)} ${became}: ask for a new one (clutch keys rotate)`);
    }
    brake.succeeded(address, name);
    const { agent } = caller;
    if (key.agents !== undefined && (agent === undefined || !key.agents.includes(agent))) {
      const its = key.agents.map(nameAgent).join(", ");
      const who = agent === undefined ? "an agent that this gateway does not recognise" : nameAgent(agent);
      return refused("permission", `the key ${describeKey(key)} is for ${its}, and this request is from ${who}`);
    }
    return { ok: true, grant: key };
  }

  /** Commands have no launch: they show the secret by itself. What keys are for is asking models. */
  admitAdmin(caller: Caller, findAddress: () => string | undefined): Admission {
    if (!this.#deps.requireKey) return open;
    const shown = caller.launch?.secret ?? caller.key;
    if (shown === undefined || shown === "") return refused("authentication", "this gateway requires its key here too");
    if (this.#isLaunchSecret(shown)) return open;
    const address = findAddress() ?? somewhere;
    const waitMs = this.#deps.brake.waitMs(address);
    return this.#wrong(address, waitMs, "this is not the key of /admin: it stands in launch.key of the state folder");
  }

  #wrong(address: string, waitMs: number, why: string): Admission {
    if (waitMs > 0) return tooMany(waitMs);
    this.#deps.brake.failed(address);
    return refused("authentication", why);
  }

  #isLaunchSecret(shown: string): boolean {
    return isSame(shown, this.#deps.launchSecret()) || isSame(shown, this.#deps.freshLaunchSecret());
  }
}

const noKey =
  "this gateway requires a key: start the agent with xx, or hand it one that clutch keys create has made, as a bearer token or x-api-key";

function explainUnknown(shown: string): string {
  if (/\s/.test(shown)) return "the key has spaces or line breaks in it: copy it in one piece";
  return "this gateway does not know that key: it was not copied whole, or another gateway made it (clutch keys list)";
}

function explainForeign(shown: string): string {
  if (/\s/.test(shown)) return "the key has spaces or line breaks in it: copy it in one piece";
  if (shown.startsWith("sk-")) {
    return "this gateway requires a key of its own, and this is a provider's: make one with clutch keys create, or start the agent with xx";
  }
  return "this gateway does not know that key: start the agent with xx, or make a key with clutch keys create";
}

function nameAgent(letter: string): string {
  return isAgentLetter(letter) ? agentNames[letter] : letter;
}

function refused(kind: GatewayError["kind"], message: string): Admission {
  return { ok: false, error: { kind, message } };
}

function tooMany(waitMs: number): Admission {
  const seconds = Math.ceil(waitMs / 1000);
  const message = `too many wrong keys came from this address: try again in ${seconds} s`;
  return { ok: false, error: { kind: "rate-limit", message, retryAfterMs: waitMs } };
}

/** Compared in constant time: the digests are of one length whatever was shown. */
function isSame(given: string, secret: string | undefined): boolean {
  if (secret === undefined || secret === "") return false;
  const digest = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest();
  return crypto.timingSafeEqual(digest(given), digest(secret));
}
