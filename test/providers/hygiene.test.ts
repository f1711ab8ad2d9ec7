import { describe, expect, test } from "bun:test";
import { dropForeignReasoning, findAttribution, holdsForeignReasoning } from "../../providers/hygiene.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";

const billing = { type: "text", text: "x-anthropic-billing-header: cc_version=2.1.328.c5e; cc_entrypoint=sdk-cli;" };
const prompt = { type: "text", text: "You help.", cache_control: { type: "ephemeral" } };

function cutAttribution(text: string): string {
  const body = Buffer.from(text);
  const cut = findAttribution(body);
  return cut === undefined ? text : Buffer.concat([body.subarray(0, cut.start), body.subarray(cut.end)]).toString();
}

describe("findAttribution() cuts Claude Code's billing block", () => {
  test.each([
    ["first of several", [billing, prompt], [prompt]],
    ["last of several", [prompt, billing], [prompt]],
    ["between others", [prompt, billing, prompt], [prompt, prompt]],
    ["with the type behind the text", [{ text: billing.text, type: "text" }, prompt], [prompt]],
    ["but not an only one, which would leave an empty list", [billing], [billing]],
    [
      "but no block with more in it",
      [{ ...billing, cache_control: {} }, prompt],
      [{ ...billing, cache_control: {} }, prompt],
    ],
    ["but no other text", [prompt], [prompt]],
  ])("%s", (_name, system, expected) => {
    for (const indent of [undefined, 2]) {
      const body = { model: "m", system, messages: [{ role: "user", content: "hi" }] };
      const cut = JSON.parse(cutAttribution(JSON.stringify(body, null, indent)));
      expect(cut).toEqual({ ...body, system: expected });
    }
  });

  test("leaves a text alone that only quotes it", () => {
    const text = JSON.stringify({ messages: [{ role: "user", content: 'see "x-anthropic-billing-header: a\\"b"' }] });
    expect(cutAttribution(text)).toBe(text);
  });
});

describe("dropForeignReasoning()", () => {
  const thinking = (signature: string) => ({ type: "thinking", thinking: "hm", signature });
  const answer = { type: "text", text: "ok" };
  const messages = (...content: JsonObject[]): JsonObject => ({
    messages: [
      { role: "user", content: "go" },
      { role: "assistant", content },
    ],
  });

  test.each([
    ["a wrapped signature", thinking("clutch1.abc"), true, true],
    ["wrapped redacted data", { type: "redacted_thinking", data: "clutch1.abc" }, true, true],
    ["no signature, for Anthropic alone", thinking(""), true, false],
    ["a native signature", thinking("EqQB"), false, false],
  ])("takes out %s", (_name, block, goesForAnthropic, goesForOthers) => {
    for (const [isAnthropic, goes] of [
      [true, goesForAnthropic],
      [false, goesForOthers],
    ] as const) {
      const body = messages(block, answer);
      expect(holdsForeignReasoning(Buffer.from(JSON.stringify(body)), isAnthropic)).toBe(goes);
      expect(dropForeignReasoning(body, "messages", isAnthropic)).toEqual(goes ? messages(answer) : body);
    }
  });

  test("drops a message that was nothing else", () => {
    const { messages: kept } = dropForeignReasoning(messages(thinking("clutch1.abc")), "messages", true);
    expect(kept).toEqual([{ role: "user", content: "go" }]);
  });

  test("takes wrapped items out of a Responses input", () => {
    const own = { type: "reasoning", summary: [], encrypted_content: "gAAAA" };
    const input = [{ ...own, encrypted_content: "clutch1.abc" }, own, { role: "user", content: "go" }];
    expect(dropForeignReasoning({ input }, "responses", false)).toEqual({ input: input.slice(1) });
  });
});
