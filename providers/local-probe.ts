/**
 * Asks the model servers on this machine whether they are there and what they have. What is not told stays undefined: a
 * window that is only hoped for would be believed by agents.
 */

import type { Json, JsonObject } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";
import type { LocalKind } from "./catalog.ts";
import type { Provider } from "./registry.ts";
import type { Fetch } from "./upstream.ts";

export interface LocalServer {
  /** The provider's. */
  id: string;
  kind: LocalKind;
  /** Without the `/v1` and what follows. */
  root: string;
  key: string | undefined;
}

export interface LocalModel {
  id: string;
  /** The window that it is served with (tokens). */
  context?: number;
  /** The largest window that it could be given (tokens). */
  maxContext?: number;
  /** Takes images. */
  image?: boolean;
  tools?: boolean;
  /** In memory, so that the first answer does not wait for its weights. */
  isLoaded?: boolean;
}

export interface FoundServer {
  id: string;
  models: LocalModel[];
}

export interface LocalProbeDeps {
  /** One that keeps away from the user's proxy, such as `fetchDirectly`. */
  fetch: Fetch;
  /** For the first answer, and once more for details (ms). */
  limitMs?: number;
  /** Told of what listens there, is well, and is no server of that kind. */
  onStranger?(server: LocalServer): void;
}

/** How long a launch can wait for a server that is there (ms). */
const usualLimitMs = 300;

/** More are listed than asked about, one call each. */
const maxDetailed = 32;

/** Of one answer (bytes). */
const maxAnswerBytes = 4 * 1024 * 1024;

/** Those of the providers that are servers of a kind we know how to ask. */
export function localServers(providers: Iterable<Provider>): LocalServer[] {
  return [...providers].flatMap(({ id, local, urls, key }) => {
    const root = rootOf({ urls });
    return local === undefined || root === undefined ? [] : [{ id, kind: local, root, key }];
  });
}

/** The provider's address without the `/v1` and what follows. */
export function rootOf(provider: Pick<Provider, "urls"> | undefined): string | undefined {
  const [url] = Object.values(provider?.urls ?? {});
  return url?.replace(/\/v1\/[a-z/]+$/, "").replace("//localhost:", "//127.0.0.1:");
}

/** All at once. Only those that answered in time, and as a server of their kind would. Never throws. */
export async function probeLocal(servers: readonly LocalServer[], deps: LocalProbeDeps): Promise<FoundServer[]> {
  const found = await Promise.all(
    servers.map(async (server) => {
      let isWell = false;
      const hear = (status: number) => {
        isWell ||= status < 500;
      };
      const models = await probes[server.kind](askerOf(server, deps, hear));
      if (models !== undefined) return [{ id: server.id, models }];
      if (isWell) deps.onStranger?.(server);
      return [];
    }),
  );
  return found.flat();
}

/** The JSON behind a path of the server, or undefined when there is none in time. */
type Ask = (path: string, body?: JsonObject) => Promise<Json | undefined>;

function askerOf(
  { root, key }: LocalServer,
  { fetch, limitMs = usualLimitMs }: LocalProbeDeps,
  hear: (status: number) => void,
): Ask {
  return async (path, body) => {
    try {
      const response = await fetch(root + path, {
        method: body === undefined ? "GET" : "POST",
        headers: {
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(limitMs),
        redirect: "manual",
      });
      hear(response.status);
      if (response.ok) return JSON.parse(await readText(response)) as Json;
      await response.body?.cancel();
    } catch {
      // Nothing listens, it is too slow, or it is something else: not there, as far as we are concerned.
    }
    return undefined;
  };
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.length;
    if (total > maxAnswerBytes) throw new Error("more than a list of models");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Undefined when the answer is not that of such a server. */
const probes: Record<LocalKind, (ask: Ask) => Promise<LocalModel[] | undefined>> = {
  ollama: probeOllama,
  lmstudio: probeLmStudio,
  vllm: probeVllm,
  llamacpp: probeLlamaCpp,
};

/**
 * The window is that of a loaded model (`/api/ps`), or the one set in its Modelfile (`num_ctx`). Otherwise it is the
 * server's default, which depends on the machine's memory and is told nowhere; `<arch>.context_length` is only what the
 * model was trained for. @see https://docs.ollama.com/api
 */
async function probeOllama(ask: Ask): Promise<LocalModel[] | undefined> {
  const [tags, running] = await Promise.all([ask("/api/tags"), ask("/api/ps")]);
  const names = list(tags, "models")?.flatMap((model) => text(model["name"]) ?? []);
  if (names === undefined) return undefined;
  const loaded = new Map(
    list(running, "models")?.map((model) => [text(model["name"]), count(model["context_length"])]) ?? [],
  );
  const told = await Promise.all(
    names.map(async (id, index): Promise<LocalModel[]> => {
      const shown = index < maxDetailed ? await ask("/api/show", { model: id }) : undefined;
      const info = isObject(shown) && isObject(shown["model_info"]) ? shown["model_info"] : {};
      const trained = Object.entries(info).find(([name]) => name.endsWith(".context_length"))?.[1];
      const set = /^num_ctx\s+(\d+)/m.exec((isObject(shown) ? text(shown["parameters"]) : undefined) ?? "")?.[1];
      const abilities = isObject(shown) && Array.isArray(shown["capabilities"]) ? shown["capabilities"] : undefined;
      // One that only embeds answers nobody.
      if (abilities?.includes("completion") === false) return [];
      return [
        compact({
          id,
          context: loaded.get(id) ?? (set === undefined ? undefined : Number(set)),
          maxContext: count(trained),
          image: abilities?.includes("vision"),
          tools: abilities?.includes("tools"),
          isLoaded: loaded.has(id),
        }),
      ];
    }),
  );
  return told.flat();
}

/**
 * The REST API of 0.4 tells most, that of 0.3 nearly as much, and every version lists at least names.
 * @see https://lmstudio.ai/docs/developer/rest
 */
async function probeLmStudio(ask: Ask): Promise<LocalModel[] | undefined> {
  const [v1, v0, plain] = await Promise.all([ask("/api/v1/models"), ask("/api/v0/models"), ask("/v1/models")]);
  const newest = list(v1, "models");
  if (newest?.every((model) => Array.isArray(model["loaded_instances"])) === true) return newest.flatMap(readLmStudio1);
  const older = list(v0, "data");
  if (older?.every((model) => text(model["state"]) !== undefined) === true) return older.flatMap(readLmStudio0);
  return list(plain, "data")?.flatMap((model) => {
    const id = text(model["id"]);
    return id === undefined || /^text-embedding-/.test(id) ? [] : [{ id }];
  });
}

function readLmStudio1(model: JsonObject): LocalModel[] {
  const id = text(model["key"]);
  if (id === undefined || model["type"] === "embedding") return [];
  const [instance] = Array.isArray(model["loaded_instances"]) ? model["loaded_instances"] : [];
  const config = isObject(instance) && isObject(instance["config"]) ? instance["config"] : {};
  const abilities = isObject(model["capabilities"]) ? model["capabilities"] : {};
  return [
    compact({
      id,
      context: count(config["context_length"]),
      maxContext: count(model["max_context_length"]),
      image: flag(abilities["vision"]),
      tools: flag(abilities["trained_for_tool_use"]),
      isLoaded: instance !== undefined,
    }),
  ];
}

function readLmStudio0(model: JsonObject): LocalModel[] {
  const id = text(model["id"]);
  const type = text(model["type"]);
  if (id === undefined || type === "embeddings") return [];
  const abilities = Array.isArray(model["capabilities"]) ? model["capabilities"] : undefined;
  return [
    compact({
      id,
      context: count(model["loaded_context_length"]),
      maxContext: count(model["max_context_length"]),
      image: type === undefined ? undefined : type === "vlm",
      tools: abilities?.includes("tool_use"),
      isLoaded: model["state"] === "loaded",
    }),
  ];
}

/** What else listens at 8000 has a list of models at best, but no `max_model_len` in it. */
async function probeVllm(ask: Ask): Promise<LocalModel[] | undefined> {
  const models = list(await ask("/v1/models"), "data");
  if (models?.some((model) => count(model["max_model_len"]) !== undefined) !== true) return undefined;
  return models.flatMap((model) => {
    const id = text(model["id"]);
    return id === undefined ? [] : [compact({ id, context: count(model["max_model_len"]), isLoaded: true })];
  });
}

/** `n_ctx` is that of one slot, which is what one request gets. @see ggml-org/llama.cpp tools/server/README.md */
async function probeLlamaCpp(ask: Ask): Promise<LocalModel[] | undefined> {
  const [props, listed] = await Promise.all([ask("/props"), ask("/v1/models")]);
  const names = list(listed, "data")?.flatMap((model) => text(model["id"]) ?? []) ?? [];
  if (!isObject(props) || !isObject(props["default_generation_settings"]) || names.length === 0) return undefined;
  const modalities = isObject(props["modalities"]) ? props["modalities"] : {};
  const template = isObject(props["chat_template_caps"]) ? props["chat_template_caps"] : {};
  const told = {
    context: count(props["default_generation_settings"]["n_ctx"]),
    image: flag(modalities["vision"]),
    tools: flag(template["supports_tools"]),
    isLoaded: true,
  };
  // A router of several models answers for none of them in particular.
  return names.length > 1 ? names.map((id) => ({ id })) : names.map((id) => compact({ id, ...told }));
}

function list(body: Json | undefined, name: string): JsonObject[] | undefined {
  const items = isObject(body) ? body[name] : undefined;
  return Array.isArray(items) ? items.filter(isObject) : undefined;
}

function text(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function count(value: Json | undefined): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

function flag(value: Json | undefined): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}

/** Without what was not told. */
function compact(
  model: { id: string } & { [Name in keyof Omit<LocalModel, "id">]: LocalModel[Name] | undefined },
): LocalModel {
  return Object.fromEntries(Object.entries(model).filter(([, value]) => value !== undefined)) as unknown as LocalModel;
}
