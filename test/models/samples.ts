/** Hand-made lists in the shapes that OpenRouter, models.dev and model-scan document. */

export interface OpenRouterSample {
  context?: number;
  output?: number | null;
  tools?: boolean;
  /** US dollars per token, as texts. */
  price?: readonly [string, string];
  scores?: { coding_index?: number | null; agentic_index?: number | null; intelligence_index?: number | null };
  more?: object;
}

export function openRouterModel(id: string, sample: OpenRouterSample = {}): object {
  const { context = 200_000, output = 32_000, tools = true, price = ["0.000001", "0.000004"], scores, more } = sample;
  return {
    id,
    canonical_slug: id,
    name: `Vendor: ${id}`,
    created: 1_790_000_000,
    context_length: context,
    expiration_date: null,
    architecture: {
      modality: "text->text",
      input_modalities: ["text"],
      output_modalities: ["text"],
      tokenizer: "Other",
    },
    pricing: { prompt: price[0], completion: price[1], request: "0" },
    top_provider: { context_length: context, max_completion_tokens: output, is_moderated: false },
    supported_parameters: tools ? ["max_tokens", "tools", "tool_choice"] : ["max_tokens"],
    ...(scores !== undefined && { benchmarks: { artificial_analysis: scores, design_arena: [] } }),
    per_request_limits: null,
    links: { details: `/api/v1/models/${id}/endpoints` },
    ...more,
  };
}

export const free = ["0", "0"] as const;

export function openRouterList(...models: object[]): object {
  return { data: models, links: { next: null }, total_count: models.length };
}

export function scanCandidate(model: string, more: object = {}): object {
  return {
    model_id: model,
    provider: "openrouter",
    api_model: `openrouter/${model}`,
    base_url: "",
    fitness: 80,
    price_blended: 0.5,
    tier: "A",
    has_tools: true,
    has_vision: false,
    ...more,
  };
}

export function scanSnapshot(candidates: readonly object[], more: object = {}): object {
  return {
    schema_version: "1.0.0",
    generated_at: "2026-11-20T10:00:00Z",
    scan_id: 42,
    provider_health: {},
    blocklist: [],
    slots: {
      R1_primary: { label: "primary", eval_mode: "cost_basis", best: candidates[0] ?? null, candidates },
    },
    ...more,
  };
}
