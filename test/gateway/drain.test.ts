import { describe, expect, test } from "bun:test";
import { at, paths, pieces, protocols, requestBody, streamed, summarise, whole } from "../support/answers.ts";
import { json, type Reply, silent, sse } from "../support/fake-upstream.ts";
import { eventually, startTestGateway, within } from "../support/gateway.ts";

/** Long enough that no test gets there. */
const noLimit = 60_000;

async function isDraining(url: string): Promise<boolean> {
  return (await fetch(`${url}/health`)).status === 503;
}

describe.each(protocols)("a gateway that is stopped while a %s client", (client) => {
  test.each([client, client === "messages" ? "chat" : "messages"] as const)(
    "reads a stream from a %s upstream: it is read to its end",
    async (upstream) => {
      const gate = Promise.withResolvers<void>();
      const { opening, words, ending } = pieces[upstream];
      const long = words("x".repeat(100_000)).repeat(20);
      await using gateway = await startTestGateway({
        replies: { one: sse([opening + words("Grüße "), gate.promise, long + ending]) },
      });
      const response = await gateway.ask(client, `${upstream}:one`, true);
      const stopped = gateway.stop(noLimit);
      await eventually("the drain", () => isDraining(gateway.url));
      gate.resolve();
      const stream = await within(3000, "the rest of the stream", response.text());
      expect(summarise(client, stream)).toMatchObject({ successes: 1, errors: [] });
      expect(summarise(client, stream).text).toBe(`Grüße ${"x".repeat(2_000_000)}`);
      await within(5000, "the stop", stopped);
      expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({ status: "completed" });
    },
  );

  test("waits for a whole answer: it gets it", async () => {
    const gate = Promise.withResolvers<void>();
    const reply = json({ ...whole[client], padding: "x".repeat(3_000_000) });
    await using gateway = await startTestGateway({
      replies: { one: { ...reply, body: [gate.promise, ...reply.body] } },
    });
    const asked = gateway.ask(client, `${client}:one`, false);
    await gateway.upstream.received(1);
    const stopped = gateway.stop(noLimit);
    await eventually("the drain", () => isDraining(gateway.url));
    gate.resolve();
    const response = await within(5000, "the answer", asked);
    expect(response.status).toBe(200);
    expect(((await response.json()) as { padding: string }).padding).toHaveLength(3_000_000);
    await within(5000, "the stop", stopped);
  });

  test("asks for something new: it is refused in its protocol", async () => {
    await using gateway = await startTestGateway({
      replies: { one: sse([pieces[client].opening + pieces[client].words("a")], "open") },
    });
    const leaving = new AbortController();
    await gateway.ask(client, `${client}:one`, true, { signal: leaving.signal });
    const stopped = gateway.stop(noLimit);
    await eventually("the drain", () => isDraining(gateway.url));
    const refused = await gateway.ask(client, `${client}:one`, true);
    expect(refused.status).toBe(client === "messages" ? 529 : 503);
    expect(refused.headers.get("retry-after")).toBe("2");
    expect(at(await refused.json(), "error", "message")).toContain("the gateway is shutting down");
    expect(gateway.upstream.requests).toHaveLength(1);
    leaving.abort();
    await within(5000, "the stop", stopped);
  });

  test.each([
    ["has begun", (upstream: typeof client) => sse([pieces[upstream].opening + pieces[upstream].words("a")], "open")],
    ["was opened early", () => silent],
    [
      "stands in the middle of an event",
      (upstream: typeof client) =>
        sse(
          [pieces[upstream].opening + pieces[upstream].words("a") + pieces[upstream].words("b").slice(0, -9)],
          "open",
        ),
    ],
  ] as [string, (upstream: typeof client) => Reply][])(
    "reads a stream without end that %s: it ends in an error event",
    async (_name, reply) => {
      await using gateway = await startTestGateway({
        replies: { one: reply(client) },
        timeouts: { patience_ms: 20 },
      });
      const response = await gateway.ask(client, `${client}:one`, true);
      const stopped = gateway.stop(40);
      const stream = await within(5000, "the end of the stream", response.text());
      const summary = summarise(client, stream);
      expect(summary).toMatchObject({ openings: 1, successes: 0, endsInError: true });
      expect(summary.errors).toEqual(["connection lost: the gateway was stopped (server error)"]);
      await within(5000, "the stop", stopped);
      expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({ status: "aborted" });
      await within(5000, "closing the upstream's connection", gateway.upstream.quiet());
    },
  );

  test.each([true, false])("waits for an answer that never comes, streamed: %p: it is told", async (stream) => {
    await using gateway = await startTestGateway({ replies: { one: silent } });
    const asked = gateway.ask(client, `${client}:one`, stream);
    await gateway.upstream.received(1);
    const stopped = gateway.stop(40);
    const response = await within(5000, "the answer", asked);
    expect(response.status).toBeGreaterThanOrEqual(500);
    const body: unknown = await response.json();
    expect(at(body, "error", "message")).toContain("the gateway was stopped");
    await within(5000, "the stop", stopped);
    expect(await gateway.onlyRequest()).toMatchObject({ status: "aborted" });
  });
});

test("a request whose body is still on its way is waited for", async () => {
  await using gateway = await startTestGateway({ replies: { one: sse([streamed("chat")]) } });
  const gate = Promise.withResolvers<void>();
  const text = JSON.stringify(requestBody("chat", "chat:one", true));
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(Buffer.from(text.slice(0, 20)));
      await gate.promise;
      controller.enqueue(Buffer.from(text.slice(20)));
      controller.close();
    },
  });
  const asked = fetch(gateway.url + paths.chat, { method: "POST", body });
  // Nothing tells that the gateway has begun to read, nor that it would now have closed the connection.
  await Bun.sleep(30);
  const stopped = gateway.stop(noLimit);
  await Bun.sleep(30);
  gate.resolve();
  const response = await within(5000, "the answer", asked);
  // Served or refused, but answered.
  expect([200, 503]).toContain(response.status);
  await response.text();
  await within(5000, "the stop", stopped);
});

test("an idle gateway stops at once", async () => {
  await using gateway = await startTestGateway({ replies: {} });
  await within(200, "the stop", gateway.stop(noLimit));
});
