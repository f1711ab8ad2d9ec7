/** OpenAI Chat Completions: the folder's one public face. */

import type { Codec } from "../codec.ts";
import { decodeRequest } from "./decode-request.ts";
import { encodeRequest } from "./encode-request.ts";
import { encodeError, encodeStreamError } from "./error.ts";
import { decodeResponse, encodeResponse } from "./response.ts";
import { ChatStreamDecoder, ChatStreamEncoder } from "./stream.ts";

export const openaiChat: Codec = {
  protocol: "chat",
  decodeRequest,
  encodeRequest,
  decodeResponse,
  encodeResponse,
  streamDecoder: (context) => new ChatStreamDecoder(context),
  streamEncoder: (context) => new ChatStreamEncoder(context),
  encodeError,
  encodeStreamError,
  keepAlive: ": keep-alive\n\n",
};
