/** The vendors' own SDKs as clients of a gateway, and what each of them understood, in words that they share. */

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { isRecord, textOf } from "../support/grammar/report.ts";

export interface UnderstoodCall {
  id: string;
  name: string;
  arguments: unknown;
}

export interface Understood {
  text: string;
  reasoning: string;
  calls: UnderstoodCall[];
  /** The SDK's own word. */
  stop: string | null | undefined;
  usage: unknown;
  model: string;
}

/**
 * Asks through the SDK's streaming helper or without a stream; whatever the SDK throws comes out.
 * @param onAnswer told when the answer's head has arrived
 */
export type SdkClient = (url: string, model: string, stream: boolean, onAnswer?: () => void) => Promise<Understood>;

const schema = { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"] };
const names = ["get_weather", "get_time"] as const;
const options = { apiKey: "sk-client", maxRetries: 0, timeout: 10_000 };

/** Bun's client would otherwise hand a connection that the gateway is closing to the next request. */
function fetching(onAnswer = () => {}) {
  return {
    fetch: async (input: string | URL | Request, init?: RequestInit) => {
      const response = await fetch(input, { ...init, keepalive: false });
      onAnswer();
      return response;
    },
  };
}

function anthropic(url: string, onAnswer?: () => void): Anthropic {
  return new Anthropic({ ...options, ...fetching(onAnswer), baseURL: url });
}

function openai(url: string, onAnswer?: () => void): OpenAI {
  return new OpenAI({ ...options, ...fetching(onAnswer), baseURL: `${url}/v1` });
}

export const sdkClients: Record<Protocol, SdkClient> = {
  async messages(url, model, stream, onAnswer) {
    const { messages } = anthropic(url, onAnswer);
    const request = {
      model,
      max_tokens: 4096,
      thinking: { type: "enabled" as const, budget_tokens: 1024 },
      tools: names.map((name) => ({ name, input_schema: schema })),
      messages: [{ role: "user" as const, content: "hello" }],
    };
    const message = stream ? await messages.stream(request).finalMessage() : await messages.create(request);
    const understood: Understood = {
      text: "",
      reasoning: "",
      calls: [],
      stop: message.stop_reason,
      usage: message.usage,
      model: message.model,
    };
    for (const block of message.content) {
      if (block.type === "text") understood.text += block.text;
      if (block.type === "thinking") understood.reasoning += block.thinking;
      if (block.type === "tool_use") {
        understood.calls.push({ id: block.id, name: block.name, arguments: block.input });
      }
    }
    return understood;
  },

  async chat(url, model, stream, onAnswer) {
    const { completions } = openai(url, onAnswer).chat;
    const request = {
      model,
      tools: names.map((name) => ({ type: "function" as const, function: { name, parameters: schema } })),
      messages: [{ role: "user" as const, content: "hello" }],
    };
    let streamedReasoning = "";
    let completion: OpenAI.ChatCompletion;
    if (stream) {
      const running = completions.stream({ ...request, stream_options: { include_usage: true } });
      // The helper keeps only the last piece of fields that OpenAI itself does not send.
      running.on("chunk", (chunk) => {
        streamedReasoning += reasoningOf(chunk.choices[0]?.delta);
      });
      completion = await running.finalChatCompletion();
    } else completion = await completions.create(request);
    const [choice] = completion.choices;
    const calls = (choice?.message.tool_calls ?? []).flatMap((call) =>
      call.type === "function"
        ? [{ id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) as unknown }]
        : [],
    );
    return {
      text: choice?.message.content ?? "",
      reasoning: stream ? streamedReasoning : reasoningOf(choice?.message),
      calls,
      stop: choice?.finish_reason,
      usage: completion.usage,
      model: completion.model,
    };
  },

  async responses(url, model, stream, onAnswer) {
    const { responses } = openai(url, onAnswer);
    const request = {
      model,
      input: "hello",
      tools: names.map((name) => ({ type: "function" as const, name, parameters: schema, strict: false })),
    };
    const response = stream ? await responses.stream(request).finalResponse() : await responses.create(request);
    const understood: Understood = {
      text: response.output_text,
      reasoning: "",
      calls: [],
      stop: response.incomplete_details?.reason ?? response.status,
      usage: response.usage,
      model: response.model,
    };
    for (const item of response.output) {
      if (item.type === "reasoning") understood.reasoning += item.summary.map((part) => part.text).join("\n\n");
      if (item.type === "function_call") {
        understood.calls.push({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) as unknown });
      }
    }
    return understood;
  },
};

function reasoningOf(holder: unknown): string {
  return isRecord(holder) ? textOf((holder as JsonObject)["reasoning_content"]) : "";
}

/** The event types and the error of a Responses stream that fails, which its helper gives out as events alone. */
export async function readFailedResponse(
  url: string,
  model: string,
  onAnswer?: () => void,
): Promise<{ types: string[]; message: string }> {
  const types: string[] = [];
  let message = "";
  const stream = await openai(url, onAnswer).responses.create({ model, input: "hello", stream: true });
  for await (const event of stream) {
    types.push(event.type);
    if (event.type === "response.failed") message = event.response.error?.message ?? "";
  }
  return { types, message };
}
