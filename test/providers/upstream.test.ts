import { describe, expect, test } from "bun:test";
import type { Failure } from "../../providers/failure.ts";
import {
  ClientLeft,
  classifyThrown,
  type Fetch,
  GatewayStopped,
  LimitReached,
  readStart,
  sendUpstream,
} from "../../providers/upstream.ts";

const quiet = new AbortController().signal;

/** Reads what it is sent at once, as `fetch` does. */
function recorder(): { fetch: Fetch; sent: { url: string; init: RequestInit; body: string }[] } {
  const sent: { url: string; init: RequestInit; body: string }[] = [];
  const fetch: Fetch = async (url, init) => {
    sent.push({ url, init, body: Buffer.from(init.body as Uint8Array).toString("latin1") });
    return new Response("ok");
  };
  return { fetch, sent };
}

/** What becomes of breaker and quota: the model was at fault and asked; at fault but never asked; neither; only asked. */
const refused = { countsForBreaker: "hard", spendsQuota: false } as const;
const asked = { countsForBreaker: "hard", spendsQuota: true } as const;
const innocent = { countsForBreaker: "no", spendsQuota: false } as const;
const left = { countsForBreaker: "no", spendsQuota: true } as const;

describe("sendUpstream()", () => {
  const mebibyte = 1024 * 1024;
  const bodies: [name: string, body: string | Buffer | Buffer[], text: string][] = [
    ["text", "{}", "{}"],
    ["bytes", Buffer.from("{}"), "{}"],
    ["pieces", [Buffer.from("{"), Buffer.from('"a":1'), Buffer.from("}")], '{"a":1}'],
    ["shorter pieces afterwards", [Buffer.from("["), Buffer.from("]")], "[]"],
    ["no pieces", [], ""],
    [
      "pieces above the limit of reuse",
      [Buffer.alloc(3 * mebibyte, "a"), Buffer.alloc(2 * mebibyte, "b")],
      "a".repeat(3 * mebibyte) + "b".repeat(2 * mebibyte),
    ],
  ];
  test.each(bodies)("sends %s whole", async (_name, body, text) => {
    const { fetch, sent } = recorder();
    const result = await sendUpstream(fetch, { url: "http://h/", headers: { a: "b" }, body }, quiet);
    expect(result.ok).toBe(true);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.body === text).toBe(true);
    expect(sent[0]).toMatchObject({
      url: "http://h/",
      init: { method: "POST", headers: { a: "b" }, redirect: "manual" },
    });
  });

  test("turns what fetch throws into a failure", async () => {
    const fetch: Fetch = () => Promise.reject(Object.assign(new Error("x"), { code: "ConnectionRefused" }));
    expect(await sendUpstream(fetch, { url: "http://h/", headers: {}, body: "" }, quiet)).toEqual({
      ok: false,
      failure: {
        kind: "network",
        scope: "provider",
        ...refused,
        message: "connection refused: nothing listens there",
        code: "ConnectionRefused",
      },
    });
  });
});

describe("classifyThrown()", () => {
  const coded = (code: string) => Object.assign(new Error("the words of Bun"), { code });
  const network = (message: string, code: string): Failure => ({
    kind: "network",
    scope: "provider",
    ...refused,
    message,
    code,
  });
  const cases: [name: string, cause: unknown, failure: Failure][] = [
    [
      "a refused connection",
      coded("ECONNREFUSED"),
      network("connection refused: nothing listens there", "ECONNREFUSED"),
    ],
    ["a reset connection", coded("ECONNRESET"), network("connection lost: the upstream reset it", "ECONNRESET")],
    ["an unknown host", coded("ENOTFOUND"), network("cannot connect: the host was not found", "ENOTFOUND")],
    ["another code, in its own words", coded("CERT_HAS_EXPIRED"), network("the words of Bun", "CERT_HAS_EXPIRED")],
    [
      "an error without a code",
      new TypeError("odd"),
      { kind: "network", scope: "provider", ...refused, message: "odd" },
    ],
    ["something that is no error", "odd", { kind: "network", scope: "provider", ...refused, message: "odd" }],
  ];
  test.each(cases)("names %s", (_name, cause, expected) => {
    expect(classifyThrown(cause, quiet)).toEqual(expected);
  });

  const aborted: [name: string, reason: Error, failure: Failure][] = [
    [
      "one of our limits",
      new LimitReached("no answer within 60 s"),
      { kind: "timeout", scope: "model", ...asked, message: "no answer within 60 s" },
    ],
    [
      "a client that left",
      new ClientLeft(),
      { kind: "aborted", scope: "request", ...left, message: "the client closed the connection" },
    ],
    [
      "a gateway that stops",
      new GatewayStopped("the gateway is about to stop"),
      { kind: "stopped", scope: "request", ...innocent, message: "the gateway is about to stop" },
    ],
  ];
  test.each(aborted)("lets the reason of an abort decide: %s", (_name, reason, expected) => {
    expect(classifyThrown(coded("ECONNRESET"), AbortSignal.abort(reason))).toEqual(expected);
  });
});

describe("readStart()", () => {
  test("reads a short body whole", async () => {
    expect(await readStart(new Response("naïve"))).toBe("naïve");
    expect(await readStart(new Response(null))).toBe("");
  });

  test("stops reading after the limit", async () => {
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        controller.enqueue(Buffer.alloc(16 * 1024, "a"));
      },
    });
    expect(await readStart(new Response(endless))).toBe("a".repeat(64 * 1024));
    expect(pulled).toBeLessThan(10);
  });

  test("gives what had come when the body breaks", async () => {
    let isFirst = true;
    const breaking = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (!isFirst) throw new Error("reset");
        isFirst = false;
        controller.enqueue(Buffer.from("half"));
      },
    });
    expect(await readStart(new Response(breaking))).toBe("half");
  });
});
