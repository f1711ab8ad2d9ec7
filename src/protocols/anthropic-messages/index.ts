/** Anthropic Messages: the protocol of Claude Code, and of the upstreams that speak like Anthropic. */

import type { Codec } from "../codec.ts";
import { decodeRequest } from "./decode-request.ts";
import { encodeRequest } from "./encode-request.ts";
import { encodeError, encodeStreamError } from "./error.ts";
import { decodeResponse, encodeResponse } from "./response.ts";
import { MessagesStreamDecoder, MessagesStreamEncoder } from "./stream.ts";

export const anthropicMessages: Codec = {
  protocol: "messages",
  decodeRequest,
  encodeRequest,
  decodeResponse,
  encodeResponse,
  streamDecoder: (context) => new MessagesStreamDecoder(context),
  streamEncoder: (context) => new MessagesStreamEncoder(context),
  encodeError,
  encodeStreamError,
  keepAlive: 'event: ping\ndata: {"type":"ping"}\n\n',
};
