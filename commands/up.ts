/** `clutch up` and `clutch restart`: the chain's services, started in their order and kept running. */

import type { Env } from "../src/config/paths.ts";
import { takeSomeDown } from "../src/lifecycle/chain/down.ts";
import { readPlan } from "../src/lifecycle/chain/record.ts";
import { listServices, readChainSettings } from "../src/lifecycle/chain/services.ts";
import { bringUp, type ChainPlace, selectServices, type UpEvent, type UpOptions } from "../src/lifecycle/chain/up.ts";
import { findChain } from "./chain-place.ts";
import { tellDown } from "./down.ts";
import { paint } from "./paint.ts";

export interface UpFlags {
  only?: boolean;
  wait?: boolean;
  headroom?: boolean;
  adopt?: boolean;
  detach?: boolean;
  json?: boolean;
}

/** 0 when all is ready, 1 when something is not; what is not installed fails nothing. */
export async function up(services: string[], flags: UpFlags, env: Env): Promise<number> {
  return start(await findChain(env), upOptions(services, flags), flags);
}

function upOptions(services: string[], flags: UpFlags): UpOptions {
  return {
    services,
    isAlone: flags.only === true,
    without: flags.headroom === false ? ["headroom"] : [],
    adopts: flags.adopt === true,
    stage: flags.detach === true ? "detached" : "tmux",
  };
}

async function start(place: ChainPlace, options: UpOptions, flags: Pick<UpFlags, "wait" | "json">): Promise<number> {
  const printer = flags.json === true ? new JsonPrinter() : new LinePrinter();
  const onInterrupt = () => {
    printer.end();
    console.error("clutch: what has been started goes on: clutch status tells how it is, clutch down ends it");
    process.exit(130);
  };
  process.once("SIGINT", onInterrupt);
  try {
    const isUp = await bringUp(options, {
      place,
      tell: (event) => printer.tell(event),
      awaits: () => true,
      isPatient: flags.wait === true,
    });
    return isUp ? 0 : 1;
  } finally {
    process.removeListener("SIGINT", onInterrupt);
    printer.end();
  }
}

/** Only these; without names all that runs. */
export async function restart(services: string[], flags: { json?: boolean }, env: Env): Promise<number> {
  const place = await findChain(env);
  const options = { services, isAlone: true, without: [], adopts: false, stage: "tmux" } as const;
  selectServices(listServices(readChainSettings(place.config)), options);
  const running = readPlan(place.stateDir)?.services.filter(({ isAdopted }) => !isAdopted) ?? [];
  const ids = services.length === 0 ? running.map(({ id }) => id) : services;
  await takeSomeDown(ids, { place, tell: tellDown }, false);
  return start(place, { ...options, services: ids }, flags);
}

/** A line per event; on a terminal another one that counts the seconds meanwhile. */
class LinePrinter {
  #isCounting = false;
  readonly #isTerminal = process.stdout.isTTY === true && process.env["TERM"] !== "dumb";
  #shown = "";

  tell(event: UpEvent): void {
    if (event.kind === "waiting") this.#count(event);
    else {
      this.end();
      for (const line of render(event)) console.log(line);
    }
  }

  #count({ ids, elapsedMs }: Extract<UpEvent, { kind: "waiting" }>): void {
    if (!this.#isTerminal || elapsedMs < 300) return;
    const text = `${ids.join(", ")}  starting  ${Math.floor(elapsedMs / 1000)} s`;
    if (text === this.#shown) return;
    this.#shown = text;
    this.#isCounting = true;
    process.stdout.write(`\r\x1b[K${paint.dim(text)}`);
  }

  end(): void {
    if (this.#isCounting) process.stdout.write("\r\x1b[K");
    this.#isCounting = false;
    this.#shown = "";
  }
}

const nameWidth = 12;

function render(event: Exclude<UpEvent, { kind: "waiting" }>): string[] {
  if (event.kind === "note") return [event.line];
  const name = event.id.padEnd(nameWidth);
  switch (event.kind) {
    case "ready": {
      const how = {
        started: `ready after ${(event.tookMs / 1000).toFixed(1)} s`,
        already: "ready (was up)",
        adopted: "ready (was running; left as it is)",
      };
      return [`${name} ${paint.good(how[event.how])}`];
    }
    case "absent":
      return [`${name} ${paint.dim(`not installed, so without it (${event.hint})`)}`];
    case "left-out":
      return [`${name} ${paint.warn(`left out: ${event.why}`)}`, `${" ".repeat(nameWidth)} ${event.hint}`];
    case "ended":
      return [`${name} ${paint.warn(`ended (${event.how}), trying again`)}`];
    case "failed":
      return [
        `${name} ${paint.bad(`failed: ${event.why}`)}`,
        ...event.lines.map((line) => `  | ${line}`),
        `${" ".repeat(nameWidth)} ${event.hint}`,
      ];
  }
}

/** One object at the end. */
class JsonPrinter {
  readonly #services: object[] = [];
  readonly #notes: string[] = [];

  tell(event: UpEvent): void {
    if (event.kind === "note") this.#notes.push(event.line);
    else if (event.kind === "ready")
      this.#services.push({ id: event.id, state: "ready", how: event.how, took_ms: event.tookMs });
    else if (event.kind === "absent") this.#services.push({ id: event.id, state: "absent", hint: event.hint });
    else if (event.kind === "left-out") {
      this.#services.push({ id: event.id, state: "left-out", detail: event.why, hint: event.hint });
    } else if (event.kind === "failed") {
      this.#services.push({ id: event.id, state: "failed", detail: event.why, lines: event.lines, hint: event.hint });
    }
  }

  end(): void {
    console.log(JSON.stringify({ services: this.#services, notes: this.#notes }));
  }
}
