/** `clutch watch`: the live dashboard. Asks gateway and chain, reads keys, draws; what is drawn is decided in `src/dashboard`. */

import { type Env, resolveHomes } from "../src/config/paths.ts";
import { firstView, parseKeys, press, tellWhy, type View } from "../src/dashboard/keys.ts";
import {
  type DashboardModel,
  emptyModel,
  filterRequests,
  listIds,
  type MemberLine,
  takeMembers,
  takeSilence,
  takeStatus,
} from "../src/dashboard/model.ts";
import { pageRows, renderDashboard } from "../src/dashboard/render.ts";
import { Screen } from "../src/dashboard/screen.ts";
import { ClutchError } from "../src/errors.ts";
import { wrapLines } from "../src/explain/cut-line.ts";
import { renderWhy } from "../src/explain/render-why.ts";
import { plainPaint } from "../src/explain/table.ts";
import type { WhyReport } from "../src/explain/why.ts";
import type { GatewayStatus } from "../src/gateway/status-report.ts";
import { askAdmin, type GatewayPlace, readAdmin } from "../src/lifecycle/gateway-admin.ts";
import { findChain } from "./chain-place.ts";
import { paint } from "./paint.ts";
import { observe, placeOf } from "./status.ts";

/** Between two looks at the gateway (ms). */
const lookEveryMs = 250;
const lookLimitMs = 1_000;

/** Between two looks at the chain (ms): its members are other programs, which have better things to do. */
const chainEveryMs = 3_000;

/** Rows of requests that have ended: more than a tall screen shows. */
const recentRows = 100;

/** @returns 0 after q, 128+n after a signal @throws {ClutchError} `usage` without a terminal */
export async function watch(env: Env): Promise<number> {
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true || env["TERM"] === "dumb") {
    throw new ClutchError("usage", "clutch watch needs a terminal", { hint: "clutch status --json tells the same" });
  }
  return new Dashboard(placeOf(await findChain(env)), env).run();
}

class Dashboard {
  readonly #place: GatewayPlace;
  readonly #env: Env;
  readonly #screen = new Screen();
  #model: DashboardModel = emptyModel;
  #view: View = firstView;
  readonly #ended = Promise.withResolvers<number>();
  #timers: ReturnType<typeof setTimeout>[] = [];
  #isOver = false;

  constructor(place: GatewayPlace, env: Env) {
    this.#place = place;
    this.#env = env;
  }

  async run(): Promise<number> {
    const { stdin, stdout } = process;
    // Whatever ends the program: the terminal is put in order last of all.
    process.on("exit", () => this.#screen.giveBack());
    process.on("uncaughtException", (error) => this.#fail(error));
    process.on("unhandledRejection", (error) => this.#fail(error));
    for (const [signal, status] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const) {
      process.on(signal, () => this.#ended.resolve(status));
    }
    process.on("SIGCONT", () => this.#comeBack());
    stdout.on("resize", () => this.#redraw());
    // The terminal has gone away under us.
    stdout.on("error", () => this.#ended.resolve(129));
    stdin.setEncoding("utf8");
    stdin.on("data", (input) => this.#read(String(input)));
    stdin.on("end", () => this.#ended.resolve(129));
    this.#screen.take();
    this.#draw();
    void this.#repeat(lookEveryMs, () => this.#look());
    void this.#repeat(chainEveryMs, () => this.#lookAtChain());
    const status = await this.#ended.promise;
    this.#isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#screen.giveBack();
    stdin.pause();
    // Answers may still be under way, and nobody waits for them.
    process.exit(status);
  }

  #fail(error: unknown): void {
    this.#screen.giveBack();
    console.error(error);
    process.exit(1);
  }

  /** Each time after the last has ended, however long it took. */
  async #repeat(everyMs: number, look: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      if (!this.#view.isPaused) await look();
      await new Promise<void>((resolve) => this.#timers.push(setTimeout(resolve, everyMs)));
      this.#timers = this.#timers.slice(-2);
    }
  }

  async #look(): Promise<void> {
    const answer = await readAdmin(this.#place, `/status?recent=${recentRows}`, lookLimitMs);
    if (this.#view.isPaused) return;
    const now = Date.now();
    this.#model = answer.ok
      ? // Of a gateway of this version or a near one.
        takeStatus(this.#model, answer.body as unknown as GatewayStatus, now)
      : takeSilence(this.#model, answer.reason, now);
    this.#draw();
  }

  async #lookAtChain(): Promise<void> {
    this.#model = takeMembers(this.#model, await this.#askChain());
    this.#draw();
  }

  /** Read anew each time; a config that is broken at this moment leaves what was known. */
  async #askChain(): Promise<readonly MemberLine[]> {
    try {
      return (await observe(await findChain(this.#env), resolveHomes(this.#env))).members;
    } catch {
      return this.#model.members;
    }
  }

  #read(input: string): void {
    for (const key of parseKeys(input)) {
      const ids = listIds(filterRequests(this.#model, this.#view.filter));
      const { view, effect } = press(this.#view, key, ids, pageRows(this.#screen.size));
      this.#view = view;
      switch (effect?.kind) {
        case undefined:
          break;
        case "quit":
          this.#ended.resolve(0);
          return;
        case "suspend":
          this.#suspend();
          return;
        case "redraw":
          this.#screen.forget();
          break;
        case "ask-why":
          void this.#askWhy(effect.id);
          break;
        default:
          effect satisfies never;
      }
    }
    this.#draw();
  }

  async #askWhy(id: string): Promise<void> {
    const answer = await askAdmin(this.#place, `/why/${id}`);
    const text = answer.ok ? renderWhy(answer.body as unknown as WhyReport, plainPaint) : answer.reason;
    this.#view = tellWhy(this.#view, id, wrapLines(text, this.#screen.size.columns));
    this.#draw();
  }

  #suspend(): void {
    this.#screen.giveBack();
    process.kill(process.pid, "SIGSTOP");
  }

  #comeBack(): void {
    if (this.#isOver) return;
    this.#screen.take();
    this.#redraw();
  }

  #redraw(): void {
    this.#screen.forget();
    this.#draw();
  }

  #draw(): void {
    this.#screen.draw(renderDashboard(this.#model, this.#view, this.#screen.size, paint));
  }
}
