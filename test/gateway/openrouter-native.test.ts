import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";

const models = ["v/one:free", "v/two", "v/three", "v/four"];

/** OpenRouter's own id and key source, at the address of the scripted upstream. */
function setup(method: string, replies: Parameters<typeof startTestGateway>[0]["replies"]) {
  return {
    replies,
    cascade: models,
    more: ["openrouter"],
    config: { default_provider: "openrouter", fallback_method: method },
  };
}

const served = (model: string) => json({ ...(whole.chat as JsonObject), model });
const refused = json({ error: { message: "Provider returned error", code: 502 } }, 502);

describe.each(["chat", "messages"] as const)("fallback_method for a %s client", (client) => {
  const ask = async (method: string, replies: Parameters<typeof startTestGateway>[0]["replies"]) => {
    await using gateway = await startTestGateway(setup(method, replies));
    const response = await gateway.ask(client, "any-model", false, { headers: { "x-session-id": "s1" } });
    const sent = gateway.upstream.requests.map(({ body }) => {
      const { model, models: list, provider, session_id } = body;
      return { model, models: list, provider, session_id };
    });
    return { status: response.status, servedBy: response.headers.get("x-clutch-served-by"), sent };
  };

  test("cascade leaves OpenRouter's list alone", async () => {
    const { sent } = await ask("cascade", { "v/one:free": served("v/one:free") });
    expect(sent).toEqual([{ model: "v/one:free", models: undefined, provider: undefined, session_id: undefined }]);
  });

  test("openrouter_native asks once with three, and tells which one has served", async () => {
    const { sent, servedBy } = await ask("openrouter_native", { "v/one:free": served("v/two") });
    expect(sent).toEqual([
      { model: "v/one:free", models: models.slice(0, 3), provider: { sort: "throughput" }, session_id: "s1" },
    ]);
    expect(servedBy).toBe("openrouter:v/two");
  });

  test("openrouter_native goes no further", async () => {
    const { sent, status } = await ask("openrouter_native", { "v/one:free": refused });
    expect([sent.length, status]).toEqual([1, 502]);
  });

  test("both goes on with those that are left", async () => {
    const { sent, servedBy } = await ask("both", { "v/one:free": refused, "v/four": served("v/four") });
    expect(sent.map(({ models: list }) => list)).toEqual([models.slice(0, 3), undefined]);
    expect(servedBy).toBe("openrouter:v/four");
  });
});

test("with tools, only providers that take them", async () => {
  await using gateway = await startTestGateway(setup("both", { "v/one:free": served("v/one:free") }));
  const tools = [{ type: "function", function: { name: "ls", parameters: { type: "object", properties: {} } } }];
  await gateway.ask("chat", "any-model", false, { body: { tools, provider: { zdr: true } } });
  const [sent] = gateway.upstream.requests;
  expect(sent?.body["provider"]).toEqual({
    sort: "throughput",
    require_parameters: true,
    zdr: true,
  });
});
