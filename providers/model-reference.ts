/** `provider:model`: how a model is named anywhere in Clutch. */

export interface ModelReference {
  provider: string;
  model: string;
}

/**
 * Splits at the first colon if the part before it has no slash and names a provider; otherwise the whole text is a model
 * of the default provider, so that `moonshotai/kimi-k2.6:free` and `qwen2.5:72b` stay whole. `ollama/...` and
 * `lmstudio/...` are accepted spellings of `ollama:...` and `lmstudio:...`.
 */
export function parseModelReference(
  text: string,
  isProvider: (id: string) => boolean,
  defaultProvider: string,
): ModelReference & { isExplicit: boolean } {
  const slashed = text.includes("/") ? /^(ollama|lmstudio)\/(.+)$/.exec(text) : null;
  if (slashed?.[1] !== undefined && slashed[2] !== undefined) {
    return { provider: slashed[1], model: slashed[2], isExplicit: true };
  }
  const colon = text.indexOf(":");
  const head = text.slice(0, Math.max(colon, 0));
  if (colon > 0 && colon < text.length - 1 && !head.includes("/") && isProvider(head)) {
    return { provider: head, model: text.slice(colon + 1), isExplicit: true };
  }
  return { provider: defaultProvider, model: text, isExplicit: false };
}

export function renderModelReference(reference: ModelReference): string {
  return `${reference.provider}:${reference.model}`;
}
