/**
 * Keeps a running gateway's knowledge of models up to date: lists are fetched in the background, what others have written is
 * read, and changes of models that the config names are told once. Requests only ever read what is in memory. While a
 * gateway runs, what it chooses for tiers `m` and `f` is what the launcher's file says: it knows which keys there are.
 */

import type { ModelCatalogue } from "../../providers/model-facts.ts";
import type { Fetch } from "../../providers/upstream.ts";
import type { Log } from "../log.ts";
import { type FetchedList, freshMs, type ListCopies, type ModelBook } from "./catalogue.ts";
import { type Drift, renderDrift } from "./drift.ts";
import { listsPath, readLists, stampOf, writePinMemory } from "./files.ts";
import {
  bestLocal,
  checkPins,
  gatherKnowledge,
  type Knowledge,
  type ModelPlace,
  publishKnowledge,
  refreshLists,
  renderFailure,
} from "./knowledge.ts";
import { type LetterModels, launchModelsPath, readLaunchModels } from "./launch-models.ts";
import type { LocalLook } from "./local-servers.ts";
import type { MeasuredModels } from "./rank.ts";
import type { ScanSnapshot } from "./scan.ts";
import type { ModelWorld } from "./world.ts";

export interface KeeperDeps {
  place: ModelPlace;
  fetch: Fetch;
  now(): number;
  /** 0 to 1, so that many gateways do not ask at the same moment. */
  random(): number;
  measured(): MeasuredModels;
  lookAround: LocalLook;
  log: Log;
  /** The letters or the problems are others now. */
  onChange(): void;
}

/** A list is asked for again after this. */
const refreshMs = 6 * 3_600_000;
/** After a failure, doubling up to `refreshMs`. */
const retryMs = 5 * 60_000;
/** How often the servers on this machine are asked what they have. */
const lookAroundMs = 60_000;
/** How often to look whether another process, or model-scan, has written something. */
const lookMs = 2_000;

export class ModelKeeper {
  readonly #deps: KeeperDeps;
  #world: ModelWorld;
  /** Read on first use: what a start has to wait for is only what the letters mean. */
  #gathered: Knowledge | undefined;
  #lastScan: ScanSnapshot | undefined;
  #drifts: Drift[] = [];
  #failures: readonly string[] = [];
  #failedTimes = 0;
  #nextAt = 0;
  #isFetching = false;
  #local: ModelCatalogue = {};
  #lookAroundAt = 0;
  #lookedAt: number | undefined;
  #looks = 0;
  #stamps = "";
  #said = new Set<string>();
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #stopped = new AbortController();

  constructor(world: ModelWorld, deps: KeeperDeps) {
    this.#deps = deps;
    this.#world = world;
  }

  get #known(): Knowledge {
    this.#gathered ??= this.#gather();
    return this.#gathered;
  }

  catalogue(): ModelCatalogue {
    return this.#known.catalogue;
  }

  /** The same with where each list is from; another object as soon as anything in it is another. */
  book(): ModelBook {
    return this.#known;
  }

  /**
   * What `m` and `f` stand for, as the launcher reads it: until more is known, what the last gateway left in the launcher's
   * file. Where there is none, the lists on disk are read, so that the first launch agrees with the gateway. No network.
   */
  letters(): LetterModels {
    if (this.#gathered !== undefined) return this.#gathered.letters;
    const left = readLaunchModels(this.#deps.place.cacheDir);
    if (left !== undefined) return left.letters;
    this.#settle();
    return this.#known.letters;
  }

  /** When it last looked whether there is something to do (ms since 1970). */
  pulse(): { lookedAt: number | undefined; everyMs: number } {
    return { lookedAt: this.#lookedAt, everyMs: lookMs };
  }

  /** The best model that runs on this machine, as a reference; undefined where none is known. */
  localModel(): string | undefined {
    return this.#gathered === undefined ? undefined : bestLocal(this.#gathered, this.#world);
  }

  /** Lines for /health: what has become of pinned models, and lists that are old because they cannot be fetched. */
  problems(): string[] {
    // What has not been read yet has none: a gateway that starts answers before it reads all that is known of models.
    const scan = this.#gathered?.scan;
    return [
      ...this.#drifts.map(renderDrift),
      ...this.#failures,
      ...(scan?.kind === "refused" || scan?.kind === "invalid" ? [`${scan.line}: not used`] : []),
    ];
  }

  /** From here on it fetches, and looks around again and again; what is on disk is read and told at once. */
  start(): void {
    if (this.#stopped.signal.aborted) return;
    const { now } = this.#deps;
    this.#regather();
    this.#nextAt = Math.min(...this.#copies().map((copy) => (copy?.checkedAt ?? 0) + refreshMs), now() + refreshMs);
    this.#timer = setInterval(() => {
      void this.#look();
      if (now() >= this.#lookAroundAt) void this.lookAround();
    }, lookMs);
    this.#timer.unref();
    void this.#look();
  }

  /** A fetch under way ends with it: the process is not to wait for a list. */
  stop(): void {
    clearInterval(this.#timer);
    this.#stopped.abort();
  }

  /** After an edit of the config. */
  configure(world: ModelWorld): void {
    const isNew = JSON.stringify(world.wanted) !== JSON.stringify(this.#world.wanted);
    this.#world = world;
    // A provider that can be used now has a list that was never asked for.
    if (isNew && this.#timer !== undefined) this.#nextAt = 0;
    this.#regather();
    if (this.#timer !== undefined) void this.lookAround(true);
  }

  /**
   * Asks the servers on this machine what they have: it comes and goes with them. The first time before `start`, so that the
   * letters do not change twice.
   * @param isAnew nothing is known of what else listens there
   */
  async lookAround(isAnew = false): Promise<void> {
    const { now, lookAround } = this.#deps;
    this.#lookAroundAt = now() + lookAroundMs;
    const look = ++this.#looks;
    const local = await lookAround(isAnew);
    // One that began later knows the newer config.
    if (look !== this.#looks || this.#stopped.signal.aborted || Bun.deepEquals(local, this.#local)) return;
    this.#local = local;
    if (this.#timer !== undefined) this.#regather();
  }

  async #look(): Promise<void> {
    this.#lookedAt = this.#deps.now();
    if (this.#deps.now() >= this.#nextAt && !this.#isFetching) await this.#refresh();
    if (this.#stampNow() !== this.#stamps || this.#isScanOutdated()) this.#regather();
  }

  /** It was fresh when it was read, and nobody has written a new one since. */
  #isScanOutdated(): boolean {
    const { scan } = this.#known;
    return scan.kind === "fresh" && this.#deps.now() - scan.snapshot.generatedAt > freshMs;
  }

  async #refresh(): Promise<void> {
    const { place, now, random, log } = this.#deps;
    const stopped = this.#stopped.signal;
    const fetch: Fetch = (url, init) => {
      const signals = init.signal == null ? [stopped] : [init.signal, stopped];
      return this.#deps.fetch(url, { ...init, signal: AbortSignal.any(signals) });
    };
    const { wanted, listed } = this.#world;
    this.#isFetching = true;
    try {
      const refreshed = await refreshLists(place.cacheDir, wanted, listed, fetch, now);
      if (stopped.aborted) return;
      const failed = refreshed.filter(({ outcome }) => outcome.kind === "failed");
      this.#failedTimes = failed.length === 0 ? 0 : this.#failedTimes + 1;
      const waitMs = failed.length === 0 ? refreshMs : Math.min(retryMs * 2 ** (this.#failedTimes - 1), refreshMs);
      this.#nextAt = now() + waitMs * (0.9 + 0.2 * random());
      for (const line of failed.flatMap((one) => renderFailure(one) ?? [])) this.#sayOnce(line);
      // A list of today serves as well; models.dev only adds to what is known.
      const old = failed.filter(({ list, copy }) => list === "openrouter" && now() - (copy?.checkedAt ?? 0) > freshMs);
      this.#failures = old.flatMap((one) => renderFailure(one) ?? []);
    } catch (cause) {
      this.#nextAt = now() + refreshMs;
      log(`the lists of models cannot be kept (${cause instanceof Error ? cause.message : String(cause)})`);
    } finally {
      this.#isFetching = false;
    }
    this.#regather();
  }

  #regather(): void {
    this.#gathered = this.#gather();
    this.#settle();
    this.#deps.onChange();
  }

  #gather(): Knowledge {
    const { place, measured, now } = this.#deps;
    const known = gatherKnowledge(place, this.#world, measured(), now(), this.#local, this.#lastScan);
    if (known.scan.kind === "fresh") this.#lastScan = known.scan.snapshot;
    return known;
  }

  /** Writes what follows, and tells what is new. */
  #settle(): void {
    const { place, now, log } = this.#deps;
    const { scan } = this.#known;
    if (scan.kind !== "fresh" && scan.kind !== "absent") this.#sayOnce(`${scan.line}: not used`);
    try {
      publishKnowledge(place, this.#known);
      const { drifts, untold, memory } = checkPins(place, this.#world, this.#known, now());
      this.#drifts = drifts;
      for (const drift of untold) log(`model data: ${renderDrift(drift)}`);
      writePinMemory(place.stateDir, memory);
    } catch (cause) {
      this.#sayOnce(`what is known of models cannot be written (${(cause as NodeJS.ErrnoException).code ?? cause})`);
    }
    this.#stamps = this.#stampNow();
  }

  #sayOnce(line: string): void {
    if (this.#said.has(line)) return;
    this.#said.add(line);
    this.#deps.log(line, { level: "warn" });
  }

  #copies(): ListCopies[FetchedList][] {
    const lists = readLists(this.#deps.place.cacheDir);
    return Object.keys(this.#world.wanted).map((list) => lists[list as FetchedList]);
  }

  #stampNow(): string {
    const { cacheDir, scanFile } = this.#deps.place;
    return [listsPath(cacheDir), launchModelsPath(cacheDir), scanFile].map(stampOf).join(" ");
  }
}
