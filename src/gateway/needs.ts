/** What a request asks of a model, found out from its bytes where that is enough: most bodies are passed on unparsed. */

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
  const { body } = exchange.input;
  let images: boolean | undefined;
  return {
    beyond(window) {
      const tokens = Math.floor(body.size / bytesPerToken) + leastOutputTokens;
      if (tokens <= window) return undefined;
      // Images are long in bytes and short in tokens, so then there is no estimate.
      images ??= hasImages(body.bytes);
      return images ? undefined : tokens;
    },
    hasTools: () => body.hasTools,
    hasImages() {
      images ??= hasImages(body.bytes);
      return images;
    },
  };
}

function hasImages(bytes: Buffer): boolean {
  return imageMarks.some((mark) => bytes.includes(mark));
}
