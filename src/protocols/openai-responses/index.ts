/** The OpenAI Responses protocol, as Codex speaks it. */

import type { Codec } from "../codec.ts";
import { decodeRequest } from "./decode-request.ts";
import { encodeRequest } from "./encode-request.ts";
import { encodeError } from "./error.ts";
import { decodeResponse, encodeResponse } from "./response.ts";
import { encodeStreamError, streamDecoder, streamEncoder } from "./stream.ts";

export const openaiResponses: Codec = {
  protocol: "responses",
  decodeRequest,
  encodeRequest,
  decodeResponse,
  encodeResponse,
  streamDecoder,
  streamEncoder,
  encodeError,
  encodeStreamError,
  keepAlive: ": keep-alive\n\n",
};
