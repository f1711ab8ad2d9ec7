import { describe, expect, test } from "bun:test";
import { parseModelReference, renderModelReference } from "../../providers/model-reference.ts";

const known = new Set(["openrouter", "openai", "ollama", "lmstudio", "mybox", "a/b"]);

describe("parseModelReference()", () => {
  const cases: [text: string, provider: string, model: string, isExplicit: boolean][] = [
    ["kimi-k2.6:free", "openrouter", "kimi-k2.6:free", false],
    ["moonshotai/kimi-k2.6:free", "openrouter", "moonshotai/kimi-k2.6:free", false],
    ["qwen2.5:72b", "openrouter", "qwen2.5:72b", false],
    ["gpt-5", "openrouter", "gpt-5", false],
    ["openai:gpt-5", "openai", "gpt-5", true],
    ["ollama:qwen2.5:72b", "ollama", "qwen2.5:72b", true],
    ["openrouter:openai/gpt-5:free", "openrouter", "openai/gpt-5:free", true],
    ["mybox:m", "mybox", "m", true],
    ["nobox:m", "openrouter", "nobox:m", false],
    ["OpenAI:gpt-5", "openrouter", "OpenAI:gpt-5", false],
    ["ollama/llama4", "ollama", "llama4", true],
    ["ollama/library/llama4:8b", "ollama", "library/llama4:8b", true],
    ["lmstudio/qwen3", "lmstudio", "qwen3", true],
    ["openai/gpt-5", "openrouter", "openai/gpt-5", false],
    ["ollama/", "openrouter", "ollama/", false],
    ["a/b:c", "openrouter", "a/b:c", false],
    [":x", "openrouter", ":x", false],
    ["openai:", "openrouter", "openai:", false],
    [":", "openrouter", ":", false],
    ["openai::x", "openai", ":x", true],
    ["", "openrouter", "", false],
  ];
  test.each(cases)("reads %p as %s and %p", (text, provider, model, isExplicit) => {
    const isProvider = (id: string) => known.has(id);
    expect(parseModelReference(text, isProvider, "openrouter")).toEqual({ provider, model, isExplicit });
  });

  test("reads its own spelling back", () => {
    const reference = { provider: "ollama", model: "qwen2.5:72b" };
    const text = renderModelReference(reference);
    expect(text).toBe("ollama:qwen2.5:72b");
    expect(parseModelReference(text, (id) => known.has(id), "openai")).toEqual({ ...reference, isExplicit: true });
  });
});
