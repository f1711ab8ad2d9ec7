/** The three tiers of the config and the models behind each, in the order they are tried. Pure; read by gateway and launcher. */

export const tierNames = ["BIG", "MIDDLE", "SMALL"] as const;
export type TierName = (typeof tierNames)[number];

/** Names that `xx` hands to agents which insist on a model name. */
export const ownNames: Readonly<Record<string, TierName>> = {
  "clutch-big": "BIG",
  "clutch-middle": "MIDDLE",
  "clutch-small": "SMALL",
};

/** What is tried when the config names no tiers at all: free models of the default provider OpenRouter. */
export const builtInTiers = {
  BIG: {
    default: "moonshotai/kimi-k2.6:free",
    cascade: ["openai/gpt-oss-120b:free", "nvidia/nemotron-3-super-120b-a12b:free", "deepseek/deepseek-v4-flash:free"],
  },
  MIDDLE: {
    default: "nvidia/nemotron-3-super-120b-a12b:free",
    cascade: ["openai/gpt-oss-120b:free", "deepseek/deepseek-v4-flash:free"],
  },
  SMALL: {
    default: "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning:free",
    cascade: ["openai/gpt-oss-120b:free", "nvidia/nemotron-3-super-120b-a12b:free"],
  },
} as const satisfies Record<TierName, Tier>;

interface Tier extends TierStyle {
  /** A model reference; empty for none. */
  default: string;
  cascade: readonly string[];
}

/** What is asked of a tier's models, whatever the agent says. */
export interface TierStyle {
  reasoning?:
    | { effort?: string | undefined; max_tokens?: number | undefined; exclude?: boolean | undefined }
    | undefined;
  /** `low`, `medium` or `high`. */
  verbosity?: string | undefined;
}

/** The part of the config that says which models there are. */
export interface TierConfig {
  default_provider: string;
  model_tiers?: Readonly<Record<TierName, Tier>> | undefined;
  toolcall_models: readonly string[];
  fallbacks: readonly string[];
}

/** With duplicates and empty names, as the config has them. */
export function tierModels(tier: TierName, hasTools: boolean, config: TierConfig): string[] {
  const { default: first, cascade } = settledTier(tier, config);
  return [first, ...(hasTools ? config.toolcall_models : []), ...cascade, ...config.fallbacks];
}

/** What a launch letter's model is followed by: the cascade of BIG. */
export function letterModels(model: string, hasTools: boolean, config: TierConfig): string[] {
  const { cascade } = settledTier("BIG", config);
  return [model, ...(hasTools ? config.toolcall_models : []), ...cascade, ...config.fallbacks];
}

/** Undefined for a tier whose models are asked as the agent asks; one without a model of its own has the larger one's. */
export function tierStyle(tier: TierName, config: TierConfig): TierStyle | undefined {
  const own = config.model_tiers?.[tier];
  if (own === undefined) return undefined;
  if (own.reasoning !== undefined || own.verbosity !== undefined) {
    return { reasoning: own.reasoning, verbosity: own.verbosity };
  }
  if (own.default !== "" || tier === "BIG") return undefined;
  return tierStyle(tier === "SMALL" ? "MIDDLE" : "BIG", config);
}

/** Without tiers the built-in ones serve OpenRouter; another default provider is asked for the model as it was named. */
export function hasNoTiers(config: TierConfig): boolean {
  return !namesModels(config) && config.default_provider !== "openrouter";
}

/** False also for tiers that only say how to think; those that say nothing at all name no models on purpose. */
export function namesModels({ model_tiers: tiers }: TierConfig): boolean {
  if (tiers === undefined) return false;
  const all = tierNames.map((tier) => tiers[tier]);
  const saysHow = all.some(({ reasoning, verbosity }) => reasoning !== undefined || verbosity !== undefined);
  return !saysHow || all.some(({ default: first, cascade }) => first !== "" || cascade.length > 0);
}

/** A tier that names no model is the next larger one. */
function settledTier(tier: TierName, config: TierConfig): Tier {
  if (config.model_tiers === undefined || !namesModels(config)) return builtInTiers[tier];
  const own = config.model_tiers[tier];
  if (own.default !== "" || tier === "BIG") return own;
  const larger = settledTier(tier === "SMALL" ? "MIDDLE" : "BIG", config);
  return own.cascade.length === 0 ? larger : { default: larger.default, cascade: own.cascade };
}
