/**
 * The answer to a web search that no model behind the gateway can run. Claude Code asks for a search in a request of its
 * own that offers only that tool; an error status would make it send the same again, a tool error is shown to the model.
 */

import type { ChatRequest, JsonObject } from "../chat.ts";
import type { SseMessage } from "../codec.ts";

/**
 * True when the request is for a vendor's own tool: the choice forces it, or it offers nothing else.
 * @param isMessages whether offering nothing else counts
 */
export function demandsServerTool(request: ChatRequest, isMessages: boolean): boolean {
  const { tools, toolChoice } = request;
  if (isMessages && tools.length > 0 && tools.every((tool) => tool.server !== undefined)) return true;
  return (
    toolChoice?.type === "tool" && tools.some((tool) => tool.name === toolChoice.name && tool.server !== undefined)
  );
}

export interface UnavailableSearch {
  whole: JsonObject;
  streamed: SseMessage[];
}

/**
 * @param id unique part of the ids
 * @param model as the client named it
 * @param reason shown to the model as text beside the tool error
 */
export function answerWithoutSearch(id: string, model: string, reason: string): UnavailableSearch {
  const call = { type: "server_tool_use", id: `srvtoolu_${id}`, name: "web_search", input: {} };
  const result = {
    type: "web_search_tool_result",
    tool_use_id: call.id,
    content: { type: "web_search_tool_result_error", error_code: "unavailable" },
  };
  const text = { type: "text", text: reason };
  const usage = { input_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };
  const message = { id: `msg_${id}`, type: "message", role: "assistant", model, stop_sequence: null };
  const content = [call, result, text];
  const blocks = content.flatMap((block, index) => [
    event({ type: "content_block_start", index, content_block: block === text ? { ...text, text: "" } : block }),
    ...(block === text
      ? [event({ type: "content_block_delta", index, delta: { type: "text_delta", text: reason } })]
      : []),
    event({ type: "content_block_stop", index }),
  ]);
  return {
    whole: { ...message, content, stop_reason: "end_turn", usage },
    streamed: [
      event({ type: "message_start", message: { ...message, content: [], stop_reason: null, usage } }),
      ...blocks,
      event({ type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage }),
      event({ type: "message_stop" }),
    ],
  };
}

function event(data: { type: string; [key: string]: unknown }): SseMessage {
  return { event: data.type, data: JSON.stringify(data) };
}
