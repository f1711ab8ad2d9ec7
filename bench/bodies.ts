/**
 * Request bodies as coding agents send them, of a wished size, in two protocols. About 2 KB is a short chat without
 * tools. From 100 KB on there is a long system prompt, 32 tools with JSON schemas (some 30 KB), then rounds of tool
 * call and result: code-like text with quotes, tabs, line breaks and some non-ASCII, so that JSON escapes cost what
 * they cost in life.
 */

export type Dialect = "chat" | "messages";

export interface BodyOptions {
  dialect: Dialect;
  /** Wished size of the JSON; the result is within a few KB of it. */
  bytes: number;
  stream: boolean;
  model: string;
  /** Words for mock.cc, such as `n=100 d=5`; they travel inside the prompt and so survive any translation. */
  script: string;
}

interface Tool {
  name: string;
  description: string;
  schema: object;
}

interface Round {
  id: string;
  input: object;
  result: string;
}

interface Conversation {
  system: string;
  tools: Tool[];
  rounds: Round[];
  lastWords: string;
}

/** Below this a body is a short chat without tools (bytes). */
const shortBytes = 8192;
const systemBytes = 12_000;
const toolCount = 32;
const resultBytes = 6000;
/** A round with its JSON escapes and the call before it (bytes). */
const roundBytes = 7600;

export function buildBody(options: BodyOptions): string {
  const isShort = options.bytes <= shortBytes;
  const conversation: Conversation = {
    system: codeText(isShort ? Math.max(200, options.bytes - 600) : systemBytes, 0),
    tools: isShort ? [] : Array.from({ length: toolCount }, (_, index) => buildTool(index)),
    rounds: [],
    lastWords: `Please continue. [[mock ${options.script}]]`,
  };
  const render = options.dialect === "messages" ? renderMessages : renderChat;
  let body = render(conversation, options);
  while (!isShort) {
    const missing = options.bytes - Buffer.byteLength(body);
    if (missing <= 1500) break;
    for (let count = Math.max(1, Math.floor(missing / roundBytes)); count > 0; count--) {
      conversation.rounds.push(buildRound(conversation.rounds.length, Math.min(resultBytes, missing)));
    }
    body = render(conversation, options);
  }
  return body;
}

function renderMessages(conversation: Conversation, options: BodyOptions): string {
  return JSON.stringify({
    model: options.model,
    max_tokens: 1024,
    stream: options.stream,
    system: [{ type: "text", text: conversation.system, cache_control: { type: "ephemeral" } }],
    tools: conversation.tools.length === 0 ? undefined : conversation.tools.map(messagesTool),
    messages: [
      { role: "user", content: [{ type: "text", text: "Fix the bug." }] },
      ...conversation.rounds.flatMap(messagesRound),
      { role: "user", content: conversation.lastWords },
    ],
  });
}

function messagesTool(tool: Tool): object {
  return { name: tool.name, description: tool.description, input_schema: tool.schema };
}

function messagesRound(round: Round): object[] {
  return [
    {
      role: "assistant",
      content: [
        { type: "text", text: "Looking." },
        { type: "tool_use", id: round.id, name: "tool_1", input: round.input },
      ],
    },
    {
      role: "user",
      content: [{ type: "tool_result", tool_use_id: round.id, content: [{ type: "text", text: round.result }] }],
    },
  ];
}

function renderChat(conversation: Conversation, options: BodyOptions): string {
  return JSON.stringify({
    model: options.model,
    max_tokens: 1024,
    stream: options.stream,
    stream_options: options.stream ? { include_usage: true } : undefined,
    tools: conversation.tools.length === 0 ? undefined : conversation.tools.map(chatTool),
    messages: [
      { role: "system", content: conversation.system },
      { role: "user", content: "Fix the bug." },
      ...conversation.rounds.flatMap(chatRound),
      { role: "user", content: conversation.lastWords },
    ],
  });
}

function chatTool(tool: Tool): object {
  return { type: "function", function: { name: tool.name, description: tool.description, parameters: tool.schema } };
}

function chatRound(round: Round): object[] {
  const call = { name: "tool_1", arguments: JSON.stringify(round.input) };
  return [
    { role: "assistant", content: "Looking.", tool_calls: [{ id: round.id, type: "function", function: call }] },
    { role: "tool", tool_call_id: round.id, content: round.result },
  ];
}

const codeLine = "  const résumé = await readFile(join(dir, \"src\", name), 'utf8'); // → keep\tthe order\n";

function codeText(length: number, seed: number): string {
  let text = "";
  for (let line = 0; text.length < length; line++) text += `${seed}:${line}${codeLine}`;
  return text.slice(0, length);
}

function buildRound(index: number, length: number): Round {
  return {
    id: `call_${index}`,
    input: { path: `/repo/source/file_${index}.ts`, limit: 200, mode: "read" },
    result: codeText(length, index),
  };
}

function buildTool(index: number): Tool {
  return {
    name: `tool_${index}`,
    description: `Tool number ${index}. ${"Reads, searches or edits files of the project and reports what it did. ".repeat(6)}`,
    schema: {
      type: "object",
      properties: {
        path: { type: "string", description: "An absolute path inside the project" },
        pattern: { type: "string", description: "A regular expression" },
        limit: { type: "integer", minimum: 1, maximum: 2000, default: 200 },
        mode: { type: "string", enum: ["read", "write", "append", "delete"] },
        edits: {
          type: "array",
          items: {
            type: "object",
            properties: {
              old_string: { type: "string" },
              new_string: { type: "string" },
              replace_all: { type: "boolean" },
            },
            required: ["old_string", "new_string"],
          },
        },
      },
      required: ["path"],
      additionalProperties: false,
    },
  };
}
