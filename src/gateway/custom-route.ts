/**
 * The user's own rule: `routes.custom` names a TypeScript or JavaScript file in the config's folder that exports `route`
 * (or a default function). It runs in a Worker, so that one that hangs can be ended, and whatever goes wrong with it
 * leaves the request to the next rule: told once, until the file changes.
 */

import { statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, resolve, sep } from "node:path";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log.ts";
import type { Json } from "../protocols/chat.ts";
import { realPath } from "../real-path.ts";
import type { ScriptAnswer } from "./router.ts";

/** What a script is given. */
export interface ScriptRequest {
  protocol: string;
  /** As the client named it. */
  model: string;
  /** The agent's letter, and the launch code; null when nothing tells. */
  agent: string | null;
  code: string | null;
  /** The client's own body. */
  body: Json;
  facts: Json;
}

/** One call may take this long (ms). */
export const callLimitMs = 250;
/** Reading and starting the file may take this long, once for each of its versions (ms). */
const loadLimitMs = 2_000;
/** A Worker that does not even answer this fast is stuck and not only waiting (ms). */
const pulseLimitMs = 100;
/** Times in a row that it may be stuck before it is left alone until the file changes. */
const maxHangs = 3;

const extensions = [".ts", ".mts", ".js", ".mjs"];

/** Runs in the Worker: plain JavaScript, as nothing compiles it. */
const harness = `
let route;
self.onmessage = async ({ data }) => {
  if (data.pulse) return self.postMessage({ id: data.id });
  try {
    if (data.load !== undefined) {
      const loaded = await import(data.load);
      route = loaded.route ?? loaded.default;
      if (typeof route !== "function") throw new Error("it exports no function named route, and none as default");
      return self.postMessage({ id: data.id });
    }
    const value = await route(data.request, data.config);
    const isFit = value === undefined || value === null || typeof value === "string";
    self.postMessage(isFit ? { id: data.id, value: value ?? null } : { id: data.id, odd: typeof value });
  } catch (cause) {
    self.postMessage({ id: data.id, error: cause instanceof Error ? cause.message : String(cause) });
  }
};
`;

interface Reply {
  id: number;
  value?: string | null;
  odd?: string;
  error?: string;
}

/** Undefined: no reply in time. */
type Settle = (reply: Reply | "silent" | "gone") => void;

/**
 * The script's file. @param folder the config's, which the file must not leave, by a link neither
 * @returns a problem as a sentence's end, when the path is none that is run
 */
export function locateScript(path: string, folder: string): { file: string } | { problem: string } {
  if (isAbsolute(path)) return { problem: "give it relative to the config's folder" };
  const wanted = resolve(folder, path);
  if (!isInside(wanted, folder)) return { problem: `it leaves the config's folder ${folder}` };
  if (!extensions.includes(extname(wanted))) return { problem: `its name must end in one of ${extensions.join(" ")}` };
  try {
    const file = realPath(wanted);
    if (!isInside(file, realPath(folder))) return { problem: `it is a link out of the config's folder ${folder}` };
    const found = statSync(file);
    if (!found.isFile()) return { problem: "it is no file" };
    if ((found.mode & 0o002) !== 0) return { problem: `everybody may write to it: chmod o-w ${file}` };
    return { file };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    return { problem: code === "ENOENT" ? `there is no file ${wanted}` : `it cannot be read (${code})` };
  }
}

function isInside(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** The parts of the config that a script may see: no key, no header, no address and no environment is among them. */
export function configForScript(config: Config): Json {
  const { default_provider, model_tiers, routes, mappings, agents, fallbacks, toolcall_models } = config;
  const seen = { default_provider, model_tiers, routes, mappings, agents, fallbacks, toolcall_models };
  return JSON.parse(JSON.stringify({ ...seen, providers: Object.keys(config.providers) })) as Json;
}

export interface CustomRouteDeps {
  /** One line for the person who runs the gateway. */
  log: Log;
}

export class CustomRoute {
  readonly #deps: CustomRouteDeps;
  #path = "";
  #folder: string | undefined;
  #config: Json = null;
  #version = "";
  #runner: Runner | undefined;
  #hangs = 0;
  #problem: string | undefined;

  constructor(deps: CustomRouteDeps) {
    this.#deps = deps;
  }

  /** Takes over a config and starts its script, so that the first request need not wait. @param folder undefined without a config file */
  configure(config: Config, folder: string | undefined): void {
    this.#config = configForScript(config);
    if (config.routes.custom === this.#path && folder === this.#folder) return;
    this.#path = config.routes.custom;
    this.#folder = folder;
    this.#version = "";
    this.#end();
    this.#problem = undefined;
    if (this.#path !== "") this.#refresh();
  }

  /** Always answers, in about `callLimitMs` at most once the script is loaded. */
  async ask(request: ScriptRequest, problemOf: (name: string) => string | undefined): Promise<ScriptAnswer> {
    this.#refresh();
    const runner = this.#runner;
    if (runner === undefined) return { reason: this.#problem ?? "not asked" };
    const loaded = await runner.loaded;
    if (loaded !== undefined && runner !== this.#runner) return { reason: "the script was begun anew meanwhile" };
    if (loaded !== undefined) return this.#fail(loaded, runner);
    const reply = await runner.call({ request, config: this.#config }, callLimitMs);
    if (reply === "gone" && runner !== this.#runner) return { reason: "the script was begun anew meanwhile" };
    if (reply === "gone") return this.#fail("it ended its own Worker", runner);
    if (reply === "silent") return this.#fail(await this.#judgeSilence(runner), runner, true);
    this.#hangs = 0;
    if (reply.error !== undefined) return this.#fail(`it threw: ${reply.error}`, runner, true);
    if (reply.odd !== undefined) {
      return this.#fail(`route() returned a value of type ${reply.odd}, not a model, a tier or null`, runner, true);
    }
    if (reply.value === undefined || reply.value === null || reply.value === "")
      return { reason: "the script declined" };
    const problem = problemOf(reply.value);
    return problem === undefined ? { answer: reply.value } : this.#fail(problem, runner, true);
  }

  /** What a person should know; empty while all is well. */
  problems(): string[] {
    return this.#problem === undefined ? [] : [this.#problem];
  }

  close(): void {
    this.#path = "";
    this.#end();
  }

  /** Starts the script anew when its file is another than the one that runs. */
  #refresh(): void {
    if (this.#path === "") return;
    const located =
      this.#folder === undefined ? { problem: "there is no config file" } : locateScript(this.#path, this.#folder);
    const version = "problem" in located ? located.problem : fingerprint(located.file);
    const hasEnded = this.#runner === undefined && this.#problem === undefined;
    if (version === this.#version && !hasEnded) return;
    const isNew = version !== this.#version;
    this.#version = version;
    this.#end();
    if (isNew) {
      this.#problem = undefined;
      this.#hangs = 0;
    }
    if ("problem" in located) this.#report(located.problem);
    else this.#start(located.file);
  }

  #start(file: string): void {
    this.#runner = new Runner(file);
  }

  /** A Worker that still has a pulse waits for something; one that has none is ended, and begun again. */
  async #judgeSilence(runner: Runner): Promise<string> {
    const late = `it took longer than ${callLimitMs} ms`;
    const pulse = await runner.call({ pulse: true }, pulseLimitMs);
    // Of several requests that wait for the same Worker, one ends it.
    if (pulse !== "silent" || runner !== this.#runner) return late;
    this.#hangs += 1;
    const isGivenUp = this.#hangs >= maxHangs;
    this.#end();
    if (!isGivenUp) this.#start(runner.file);
    return isGivenUp ? `${late}, ${maxHangs} times in a row: it is not asked again` : `${late} and was ended`;
  }

  /** @param goesOn the script is asked again by the next request; otherwise only when its file has changed */
  #fail(reason: string, runner: Runner, goesOn = false): ScriptAnswer {
    if (!goesOn && runner === this.#runner) this.#end();
    this.#report(reason);
    return { reason };
  }

  /** Once for each version of the file. */
  #report(reason: string): void {
    if (this.#problem !== undefined) return;
    this.#problem = `routes.custom ${this.#path}: ${reason}; requests go on by the next rule`;
    this.#deps.log(this.#problem, { level: "warn" });
  }

  #end(): void {
    this.#runner?.end();
    this.#runner = undefined;
  }
}

function fingerprint(file: string): string {
  const { mtimeMs, size, ino } = statSync(file);
  return `${file} ${mtimeMs}/${size}/${ino}`;
}

/**
 * Bun 1.4.4 remembers what was in a folder, so that an import by path of a file that came later fails; looking for it by a
 * relative name, as another file would, reads the folder again.
 */
function noticeNewFile(file: string): void {
  try {
    Bun.resolveSync(`./${basename(file)}`, dirname(file));
  } catch {
    // What is wrong is told by the import.
  }
}

/** One Worker with one version of the script in it. */
class Runner {
  readonly file: string;
  /** What went wrong; undefined once it is ready. */
  readonly loaded: Promise<string | undefined>;
  readonly #worker: Worker;
  #waiting = new Map<number, Settle>();
  #lastId = 0;

  constructor(file: string) {
    this.file = file;
    noticeNewFile(file);
    const url = URL.createObjectURL(new Blob([harness], { type: "text/javascript" }));
    this.#worker = new Worker(url, { smol: true, ref: false });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.#waiting.get(data.id)?.(data));
    for (const event of ["close", "error"]) this.#worker.addEventListener(event, () => this.#settleAll());
    this.loaded = this.call({ load: file }, loadLimitMs).then((reply) => {
      if (reply === "silent") return `it was not ready within ${loadLimitMs} ms`;
      return reply === "gone" ? "it ended its own Worker" : reply.error;
    });
  }

  call(message: object, limitMs: number): Promise<Reply | "silent" | "gone"> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((settle) => {
      const timer = setTimeout(() => done("silent"), limitMs);
      const done: Settle = (reply) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        settle(reply);
      };
      this.#waiting.set(id, done);
      this.#worker.postMessage({ ...message, id });
    });
  }

  end(): void {
    this.#settleAll();
    this.#worker.terminate();
  }

  #settleAll(): void {
    for (const settle of [...this.#waiting.values()]) settle("gone");
  }
}
