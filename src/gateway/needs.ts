/** What a request asks of a model, found out from its bytes where that is enough: most bodies are passed on unparsed. */

import type { RequestBody } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import type { Needs } from "./screen.ts";

/** Agents' requests have four bytes to a token or fewer; dense code and other scripts only have more tokens. */
const bytesPerToken = 5;

/** Kept for the answer where the client does not say. */
const leastOutputTokens = 1_024;

/** How images stand in the three protocols; the quote behind the name cannot be part of a longer text. */
const imageMarks = ['"type":"image"', '"type": "image"', '"image_url"', '"input_image"'].map((mark) =>
  Buffer.from(mark),
);

export function needsOf(exchange: Exchange): Needs {
  return new BodyNeeds(exchange.input.body);
}

/** A class, since there is one for every request and most are asked nothing. */
class BodyNeeds implements Needs {
  readonly #body: RequestBody;
  #images: boolean | undefined;

  constructor(body: RequestBody) {
    this.#body = body;
  }

  beyond(window: number): number | undefined {
    const tokens = Math.floor(this.#body.size / bytesPerToken) + leastOutputTokens;
    // Images are long in bytes and short in tokens, so then there is no estimate.
    return tokens <= window || this.hasImages() ? undefined : tokens;
  }

  hasTools(): boolean {
    return this.#body.hasTools;
  }

  hasImages(): boolean {
    this.#images ??= hasImages(this.#body.bytes);
    return this.#images;
  }
}

function hasImages(bytes: Buffer): boolean {
  return imageMarks.some((mark) => bytes.includes(mark));
}
