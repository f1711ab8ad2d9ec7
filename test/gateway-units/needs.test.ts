import { expect, test } from "bun:test";
import { RequestBody } from "../../src/gateway/body.ts";
import type { Exchange } from "../../src/gateway/exchange.ts";
import { needsOf } from "../../src/gateway/needs.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";

function needs(body: JsonObject) {
  const bytes = Buffer.from(JSON.stringify({ model: "m", ...body }));
  const found = needsOf({ input: { body: new RequestBody(bytes) } } as Exchange);
  const tokens = found.beyond(0);
  const fitsExactly = found.beyond(tokens ?? 0) === undefined;
  return { tokens, fitsExactly, tools: found.hasTools(), images: found.hasImages(), bytes: bytes.length };
}

const said = (content: JsonObject[string]) => ({ messages: [{ role: "user", content }] });
const long = "word ".repeat(20_000);

test.each<[name: string, body: JsonObject, tools: boolean, images: boolean]>([
  ["words", said("hello"), false, false],
  ["many words", said(long), false, false],
  ["tools", { ...said("hello"), tools: [{ name: "look" }] }, true, false],
  ["many words and tools", { ...said(long), tools: [{ name: "look" }] }, true, false],
  ["an empty list of tools", { ...said(long), tools: [] }, false, false],
  ["an image for Messages", said([{ type: "image", source: { type: "base64", data: "AA" } }]), false, true],
  ["an image for Chat", said([{ type: "image_url", image_url: { url: "data:image/png;base64,AA" } }]), false, true],
  [
    "an image for Responses",
    { input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] },
    false,
    true,
  ],
  [
    "an image inside a tool's result",
    said([{ type: "tool_result", content: [{ type: "image", source: {} }] }]),
    false,
    true,
  ],
  ["words about images", said('send {"type":"image"} or "image_url", or "input_image"'), false, false],
])("%s", (_name, body, tools, images) => {
  const found = needs(body);
  expect({ tools: found.tools, images: found.images }).toEqual({ tools, images });
  // Never more than a tokenizer would find, and the least answer beside it.
  expect(found.tokens).toBe(images ? undefined : Math.floor(found.bytes / 5) + 1024);
  expect(found.fitsExactly).toBe(true);
});
