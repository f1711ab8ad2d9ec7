/** Reads the lists of models that OpenRouter and models.dev publish. Pure; rows that make no sense are left out. */

import type { ModelCatalogue, ModelFacts } from "../../providers/model-facts.ts";
import { type Fields, fieldsOf, isFields } from "./fields.ts";

/** For models whose list names no output limit: as much as most models give, and never more than the window. */
const assumedOutputTokens = 32_768;

/**
 * `GET /api/v1/models`: prices are texts, US dollars per token; a negative one (`openrouter/auto`) depends on what is chosen.
 * @returns undefined for what is no such list
 * @see https://openrouter.ai/docs/api-reference/list-available-models
 */
export function parseOpenRouterList(body: unknown): Record<string, ModelFacts> | undefined {
  const data = fieldsOf(body)["data"];
  if (!Array.isArray(data)) return undefined;
  const rows = data.flatMap((item): [string, ModelFacts][] => {
    const row = fieldsOf(item);
    const facts = openRouterFacts(row);
    return typeof row["id"] === "string" && facts !== undefined ? [[row["id"], facts]] : [];
  });
  return rows.length === 0 ? undefined : Object.fromEntries(rows);
}

function openRouterFacts(row: Fields): ModelFacts | undefined {
  const top = fieldsOf(row["top_provider"]);
  const architecture = fieldsOf(row["architecture"]);
  const windows = [row["context_length"], top["context_length"]].filter(isTokenCount);
  if (windows.length === 0 || !writesText(architecture["output_modalities"])) return undefined;
  const parameters = textsOf(row["supported_parameters"]);
  const reasoning = fieldsOf(row["reasoning"]);
  const efforts = textsOf(reasoning["supported_efforts"]);
  const usd = openRouterPrices(fieldsOf(row["pricing"]));
  const isFree = usd !== undefined && isZero(usd) && String(row["id"]).endsWith(":free");
  const created = row["created"];
  return {
    ...sizes(Math.min(...windows), top["max_completion_tokens"]),
    tools: parameters.includes("tools"),
    ...(textsOf(architecture["input_modalities"]).includes("image") && { image: true }),
    ...((parameters.includes("reasoning") || isFields(row["reasoning"])) && { reasoning: true }),
    ...(usd !== undefined && { usd }),
    ...(isFree && { isFree }),
    ...dayField("expires", row["expiration_date"]),
    ...nameField(row["name"]),
    ...(typeof created === "number" && created > 0 && { created: dayOf(created * 1000) }),
    ...(efforts.length > 0 && { efforts }),
    ...scoresField(fieldsOf(fieldsOf(row["benchmarks"])["artificial_analysis"])),
  };
}

function openRouterPrices(pricing: Fields): number[] | undefined {
  const perMillion = (value: unknown): number | undefined => {
    const price = typeof value === "string" && value !== "" ? Number(value) : value;
    return typeof price === "number" && price >= 0 ? Math.round(price * 1e12) / 1e6 : undefined;
  };
  const [input, output] = [perMillion(pricing["prompt"]), perMillion(pricing["completion"])];
  if (input === undefined || output === undefined) return undefined;
  return [input, output, perMillion(pricing["input_cache_read"]) ?? 0, perMillion(pricing["input_cache_write"]) ?? 0];
}

function scoresField(indices: Fields): Pick<ModelFacts, "scores"> {
  const read = (key: string) => {
    const value = indices[key];
    return typeof value === "number" && Number.isFinite(value) ? value : undefined;
  };
  const [coding, agentic, intelligence] = ["coding_index", "agentic_index", "intelligence_index"].map(read);
  const scores = {
    ...(coding !== undefined && { coding }),
    ...(agentic !== undefined && { agentic }),
    ...(intelligence !== undefined && { intelligence }),
  };
  return Object.keys(scores).length === 0 ? {} : { scores };
}

/** Their provider ids where ours are others. */
const modelsDevNames: Readonly<Record<string, string>> = {
  google: "gemini",
  moonshotai: "moonshot",
  "moonshotai-cn": "moonshot-cn",
  "kimi-for-coding": "kimi-code",
  "zai-coding-plan": "zai-coding",
  alibaba: "dashscope",
  "alibaba-cn": "dashscope-cn",
  togetherai: "together",
  "fireworks-ai": "fireworks",
  opencode: "zen",
  "github-models": "github",
};

/** Our id of a provider that others name their way. */
export function ownProviderId(theirs: string): string {
  const id = theirs.toLowerCase();
  return Object.hasOwn(modelsDevNames, id) ? (modelsDevNames[id] ?? id) : id;
}

/**
 * `https://models.dev/api.json`: prices are numbers, US dollars per million tokens, and 0 may mean "part of a plan".
 * @param wanted our ids of the providers to keep, of the 150 there are
 * @returns undefined for what is no such list
 */
export function parseModelsDevList(body: unknown, wanted: ReadonlySet<string>): ModelCatalogue | undefined {
  const catalogue: Record<string, Record<string, ModelFacts>> = {};
  let isList = false;
  for (const [id, provider] of Object.entries(fieldsOf(body))) {
    const models = fieldsOf(provider)["models"];
    if (!isFields(models)) continue;
    isList = true;
    const own = ownProviderId(id);
    if (!wanted.has(own)) continue;
    const rows = Object.entries(models).flatMap(([model, row]): [string, ModelFacts][] => {
      const facts = modelsDevFacts(fieldsOf(row));
      return facts === undefined ? [] : [[model, facts]];
    });
    if (rows.length > 0) catalogue[own] = Object.fromEntries(rows);
  }
  return isList ? catalogue : undefined;
}

function modelsDevFacts(row: Fields): ModelFacts | undefined {
  const { context, output } = fieldsOf(row["limit"]);
  const modalities = fieldsOf(row["modalities"]);
  if (!isTokenCount(context) || !writesText(modalities["output"])) return undefined;
  const usd = modelsDevPrices(fieldsOf(row["cost"]));
  return {
    ...sizes(context, output),
    ...(typeof row["tool_call"] === "boolean" && { tools: row["tool_call"] }),
    ...(textsOf(modalities["input"]).includes("image") && { image: true }),
    ...(row["reasoning"] === true && { reasoning: true }),
    ...(usd !== undefined && { usd }),
    ...(usd !== undefined && isZero(usd) && { isPlan: true }),
    ...nameField(row["name"]),
    ...dayField("created", row["release_date"]),
  };
}

function modelsDevPrices(cost: Fields): number[] | undefined {
  const price = (key: string) => {
    const value = cost[key];
    return typeof value === "number" && value >= 0 ? value : undefined;
  };
  const [input, output] = [price("input"), price("output")];
  if (input === undefined || output === undefined) return undefined;
  return [input, output, price("cache_read") ?? 0, price("cache_write") ?? 0];
}

function sizes(context: number, output: unknown): { context: number; output: number } {
  return { context, output: Math.min(context, isTokenCount(output) ? output : assumedOutputTokens) };
}

function isZero([input, output]: readonly number[]): boolean {
  return input === 0 && output === 0;
}

/** Lists that name no output are lists of models that write. */
function writesText(outputs: unknown): boolean {
  return !Array.isArray(outputs) || outputs.includes("text");
}

function isTokenCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

function nameField(value: unknown): Pick<ModelFacts, "name"> {
  return typeof value === "string" && value !== "" ? { name: value } : {};
}

function dayField<Key extends "expires" | "created">(key: Key, value: unknown): { [name in Key]?: string } {
  const day = typeof value === "string" ? /^\d{4}-\d{2}-\d{2}/.exec(value)?.[0] : undefined;
  return day === undefined ? {} : ({ [key]: day } as { [name in Key]: string });
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}
