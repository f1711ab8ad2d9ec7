/** The three codecs by the protocol they speak. */

import { anthropicMessages } from "./anthropic-messages/index.ts";
import type { Protocol } from "./chat.ts";
import type { Codec } from "./codec.ts";
import { openaiChat } from "./openai-chat/index.ts";
import { openaiResponses } from "./openai-responses/index.ts";

export const codecs = {
  messages: anthropicMessages,
  chat: openaiChat,
  responses: openaiResponses,
} as const satisfies Record<Protocol, Codec>;
