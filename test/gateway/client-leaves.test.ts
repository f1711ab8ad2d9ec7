import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { pieces, protocols, streamed } from "../support/answers.ts";
import { type Reply, silent, sse } from "../support/fake-upstream.ts";
import { eventually, startTestGateway, within } from "../support/gateway.ts";

const begun = (protocol: (typeof protocols)[number], end: Reply["end"] = "open") =>
  sse([pieces[protocol].opening + pieces[protocol].words("Grüße ")], end);

describe.each(protocols)("a %s client that leaves", (client) => {
  test.each([
    ["before the upstream's headers", silent, true],
    ["before the upstream's headers, waiting for a whole answer", silent, false],
    ["before the first content", sse([": PROCESSING\n\n"], "open"), true],
    ["before the first content, with an opening", sse([pieces[client].opening], "open"), true],
  ])("%s takes the upstream's connection with it", async (_when, reply, stream) => {
    await using gateway = await startTestGateway({
      replies: { one: reply, two: sse([streamed(client)]) },
      cascade: [`${client}:one`, `${client}:two`],
    });
    const leaving = new AbortController();
    const asked = gateway.ask(client, "any-model", stream, { signal: leaving.signal });
    await gateway.upstream.received(1);
    expect(gateway.gateway.inFlight()).toBe(1);
    leaving.abort();
    expect(await asked.catch((error: Error) => error.name)).toBe("AbortError");

    await within(5000, "closing the upstream's connection", gateway.upstream.quiet());
    await eventually("the end of the request", () => gateway.gateway.inFlight() === 0);
    const row = await gateway.onlyRequest();
    expect(row).toMatchObject({ status: "aborted", attempts: 1 });
    expect(await gateway.attempts(String(row["id"]))).toMatchObject([{ failure_kind: "aborted" }]);
    expect(gateway.upstream.models()).toEqual(["one"]);
  });

  test("in the middle of a stream, and again after an early opening", async () => {
    await using gateway = await startTestGateway({
      replies: { one: begun(client), late: silent },
      timeouts: { patience_ms: 10 },
    });
    for (const model of ["one", "late"]) {
      const leaving = new AbortController();
      const response = await gateway.ask(client, `${client}:${model}`, true, { signal: leaving.signal });
      const id = response.headers.get("x-clutch-request-id");
      expect(gateway.upstream.unfinished()).toBe(1);
      leaving.abort();
      await within(5000, "closing the upstream's connection", gateway.upstream.quiet());
      expect(await gateway.request(id)).toMatchObject({ status: "aborted", attempts: 1 });
      expect(await gateway.attempts(id)).toMatchObject([{ failure_kind: "aborted" }]);
      expect(gateway.gateway.inFlight()).toBe(0);
    }
  });
});

test("an aborted stream's usage up to then is on record", async () => {
  await using gateway = await startTestGateway({ replies: { one: begun("messages") } });
  const leaving = new AbortController();
  const response = await gateway.ask("messages", "messages:one", true, { signal: leaving.signal });
  leaving.abort();
  expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({
    status: "aborted",
    served_by: "messages:one",
    input_tokens: 100,
    output_tokens: 1,
  });
});

test("a client that leaves while it sends its request leaves nothing behind", async () => {
  await using gateway = await startTestGateway({ replies: {} });
  const socket = connect(gateway.gateway.port, "127.0.0.1");
  const head = "POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5000\r\n\r\n";
  await new Promise<void>((resolve) => socket.write(`${head}{"model":`, () => resolve()));
  socket.resetAndDestroy();
  expect((await fetch(`${gateway.url}/livez`)).status).toBe(200);
  await eventually("the end of the request", () => gateway.gateway.inFlight() === 0);
  expect(gateway.requests()).toEqual([]);
});

test("a hundred clients that leave at once leave nothing behind", async () => {
  await using gateway = await startTestGateway({
    replies: { one: begun("messages"), two: begun("chat"), good: sse([streamed("messages")]) },
  });
  const leaving = new AbortController();
  // Half of them passed through, half translated.
  const answers = Array.from({ length: 100 }, (_, index) =>
    gateway.ask("messages", index % 2 === 0 ? "messages:one" : "chat:two", true, { signal: leaving.signal }),
  );
  const ids = (await Promise.all(answers)).map(({ headers }) => headers.get("x-clutch-request-id"));
  expect(gateway.upstream.unfinished()).toBe(100);
  expect(gateway.gateway.inFlight()).toBe(100);
  leaving.abort();
  await within(5000, "closing the upstream's connections", gateway.upstream.quiet());
  await eventually("the end of the requests", () => gateway.gateway.inFlight() === 0);
  for (const id of ids) expect(await gateway.request(id)).toMatchObject({ status: "aborted" });
  const after = await gateway.ask("messages", "messages:good", true);
  expect(await after.text()).toBe(streamed("messages"));
});
