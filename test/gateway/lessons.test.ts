import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { answerText, whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";

const refused = (message: string) => json({ type: "error", error: { type: "invalid_request_error", message } }, 400);

test("a refused field is left out at once, and from the next request on", async () => {
  await using gateway = await startTestGateway({
    replies: { picky: [refused("temperature is deprecated for this model"), json(whole.messages)] },
  });
  for (let turn = 0; turn < 2; turn++) {
    const response = await gateway.ask("chat", "messages:picky", false, { body: { temperature: 0.5 } });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: answerText } }] });
  }
  expect(gateway.upstream.requests.map(({ body }) => body["temperature"])).toEqual([0.5, undefined, undefined]);
});

test("a learnt output limit bounds the thinking inside it", async () => {
  await using gateway = await startTestGateway({
    replies: {
      older: [
        refused("adaptive thinking is not supported on this model"),
        json(whole.messages),
        refused("max_tokens: 64000 > 8192, which is the maximum allowed"),
        json(whole.messages),
      ],
    },
  });
  for (const maxTokens of [16000, 64000]) {
    const body: JsonObject = { reasoning_effort: "high", max_tokens: maxTokens };
    const response = await gateway.ask("chat", "messages:older", false, { body });
    expect(response.status).toBe(200);
    await response.text();
  }
  const last = gateway.upstream.requests.at(-1)?.body;
  expect(last).toMatchObject({ max_tokens: 8192, thinking: { type: "enabled", budget_tokens: 8191 } });
});
