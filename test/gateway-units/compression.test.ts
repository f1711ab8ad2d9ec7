import { describe, expect, test } from "bun:test";
import { RequestBody } from "../../src/gateway/body.ts";
import { estimateTokens, takeOver } from "../../src/gateway/compression.ts";

const body = (text: string) => new RequestBody(Buffer.from(text));

/** @returns the text that goes on, or why the original does */
function taken(before: string, after: string): string {
  const result = takeOver(body(before), Buffer.from(after));
  return result.ok ? result.body.bytes.toString() : `refused: ${result.reason}`;
}

const long = "x".repeat(200);
const tool = (name: string, description: string) => ({ type: "function", function: { name, description } });

describe("takeOver()", () => {
  test.each<[what: string, before: string, after: string, expected: string]>([
    [
      "takes the conversation and leaves everything else byte for byte",
      `{ "model":"m", "max_tokens": 100,"messages":[{"content":"${long}"}], "temperature": 1.0, "n": 12345678901234567890 }`,
      `{"messages":[{"content":"x"}],"model":"other","max_completion_tokens":100,"stream_options":{"include_usage":true},"temperature":1}`,
      `{ "model":"m", "max_tokens": 100,"messages":[{"content":"x"}], "temperature": 1.0, "n": 12345678901234567890 }`,
    ],
    [
      "takes every part of it",
      `{"system":"${long}","model":"m","tools":[{"name":"a","description":"${long}"}],"messages":["${long}"]}`,
      `{"messages":["y"],"tools":[{"name":"a"}],"system":"s"}`,
      `{"system":"s","model":"m","tools":[{"name":"a"}],"messages":["y"]}`,
    ],
    [
      "takes that of Responses",
      `{"model":"m","instructions":"${long}","input":"${long}"}`,
      `{"instructions":"i","input":"${long}","store":true}`,
      `{"model":"m","instructions":"i","input":"${long}"}`,
    ],
    [
      "keeps the original where nothing changed",
      `{"model":"m","messages":[1]}`,
      `{"messages":[1],"x":2}`,
      `{"model":"m","messages":[1]}`,
    ],
    [
      "keeps the original where nothing is gained, such as for a cache mark",
      `{"model":"m","messages":[{"a":"b"}]}`,
      `{"messages":[{"a":"b","cache_control":{"type":"ephemeral"}}]}`,
      `{"model":"m","messages":[{"a":"b"}]}`,
    ],
    [
      "adds no part that the agent did not send",
      `{"model":"m","messages":["${long}"]}`,
      `{"messages":["y"],"tools":[{"name":"injected"}],"system":"injected"}`,
      `{"model":"m","messages":["y"]}`,
    ],
    [
      "refuses one without the conversation",
      `{"model":"m","messages":["${long}"]}`,
      `{"input":[]}`,
      "refused: it left messages out of the request",
    ],
    [
      "refuses another set of tools",
      JSON.stringify({ model: "m", tools: [tool("a", long), tool("b", long)], messages: [long] }),
      JSON.stringify({ tools: [tool("a", ""), tool("search", "")], messages: ["y"] }),
      "refused: it changed which tools there are",
    ],
    [
      "takes the same tools in another order",
      JSON.stringify({ model: "m", tools: [tool("b", long), tool("a", long)], messages: [long] }),
      JSON.stringify({ tools: [tool("a", ""), tool("b", "")], messages: [long] }),
      JSON.stringify({ model: "m", tools: [tool("a", ""), tool("b", "")], messages: [long] }),
    ],
    [
      "refuses a tool that was only Headroom's",
      JSON.stringify({ model: "m", tools: [tool("a", long)], messages: [long] }),
      JSON.stringify({ tools: [tool("a", ""), tool("headroom_retrieve", "")], messages: ["y"] }),
      "refused: it put headroom_retrieve into the request: start it with --lossless",
    ],
    [
      "refuses what could not be read again",
      `{"model":"m","messages":["${long}"]}`,
      `{"messages":["<<ccr:12 items left out>>"]}`,
      "refused: it put <<ccr: into the request: start it with --lossless",
    ],
    [
      "takes what the agent itself says of Headroom",
      `{"model":"m","messages":["what does <<ccr:1>> mean? ${long}"]}`,
      `{"messages":["what does <<ccr:1>> mean?"]}`,
      `{"model":"m","messages":["what does <<ccr:1>> mean?"]}`,
    ],
    [
      "refuses half an object",
      `{"model":"m","messages":["${long}"]}`,
      `{"messages":["y"`,
      "refused: what came of the request is no JSON object",
    ],
    [
      "refuses what is none",
      `{"model":"m","messages":["${long}"]}`,
      "<html>",
      "refused: what came of the request is no JSON object",
    ],
  ])("%s", (_what, before, after, expected) => {
    expect(taken(before, after)).toBe(expected);
  });
});

describe("estimateTokens()", () => {
  test.each<[what: string, before: number, after: number, counted: number | undefined, expected: [number, number]]>([
    ["goes by what the upstream counted", 4000, 1000, 300, [1200, 300]],
    ["goes by four bytes a token where it did not", 4000, 1000, undefined, [1000, 250]],
    ["takes a count of none for no count", 4000, 1000, 0, [1000, 250]],
    ["says the same twice where nothing was gained", 4000, 4000, 900, [900, 900]],
  ])("%s", (_what, before, after, counted, [tokensBefore, tokensAfter]) => {
    expect(estimateTokens(before, after, counted)).toEqual({ tokensBefore, tokensAfter });
  });
});
