import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Failure } from "../../providers/failure.ts";
import type { Patched } from "../../providers/request.ts";
import {
  ClientLeft,
  classifyThrown,
  type Fetch,
  GatewayStopped,
  LimitReached,
  readStart,
  sendUpstream,
} from "../../providers/upstream.ts";
import { RequestBody } from "../../src/gateway/body.ts";

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
  const patched = (text: string, ...patches: [start: number, end: number, put: string][]): Patched => ({
    bytes: Buffer.from(text),
    patches: patches.map(([start, end, put]) => ({ start, end, put: Buffer.from(put) })),
  });
  const long = "a".repeat(3 * mebibyte);
  const bodies: [name: string, body: string | Buffer | Patched, text: string][] = [
    ["text", "{}", "{}"],
    ["bytes", Buffer.from("{}"), "{}"],
    ["a value as long as before", patched('{"a":123,"b":2}', [5, 8, '"x"']), '{"a":"x","b":2}'],
    ["a shorter value", patched('{"a":123,"b":2}', [5, 8, "4"]), '{"a":4,"b":2}'],
    [
      "a shorter value far behind",
      patched(`{"p":"${"p".repeat(1200)}","a":123}`, [1212, 1215, "4"]),
      `{"p":"${"p".repeat(1200)}","a":4}`,
    ],
    ["a longer value", patched('{"a":1,"b":2}', [5, 6, "1234"]), '{"a":1234,"b":2}'],
    ["a range that is left out", patched('{"a":1,"b":2}', [6, 12, ""]), '{"a":1}'],
    ["two ranges", patched('{"a":1,"b":2,"c":3}', [5, 6, "[4]"], [7, 13, ""]), '{"a":[4],"c":3}'],
    ["two ranges that are no longer", patched('{"a":123,"b":2}', [5, 8, "4"], [13, 14, "5"]), '{"a":4,"b":5}'],
    ["less than before", patched("[1]", [1, 2, "22"]), "[22]"],
    ["no ranges", patched("[]"), "[]"],
    ["more than is kept", patched(`["${long}",1]`, [1, long.length + 3, `"${long}${long}"`]), `["${long}${long}",1]`],
  ];
  test.each(bodies)("sends %s whole", async (_name, body, text) => {
    const { fetch, sent } = recorder();
    const before = typeof body === "string" ? body : Buffer.from(Buffer.isBuffer(body) ? body : body.bytes);
    const result = await sendUpstream(fetch, { url: "http://h/", headers: { a: "b" }, body }, quiet);
    expect(result.ok).toBe(true);
    // Another candidate may need them.
    expect(Bun.deepEquals(before, typeof body === "string" || Buffer.isBuffer(body) ? body : body.bytes)).toBe(true);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.body === text).toBe(true);
    expect(sent[0]).toMatchObject({
      url: "http://h/",
      init: { method: "POST", headers: { a: "b" }, redirect: "manual" },
    });
  });

  test("leaves the bytes as they were when fetch throws at once", async () => {
    const body = patched('{"a":123}', [5, 8, "4"]);
    const fetch: Fetch = () => {
      throw new TypeError("no url");
    };
    expect((await sendUpstream(fetch, { url: "h", headers: {}, body }, quiet)).ok).toBe(false);
    expect(String(body.bytes)).toBe('{"a":123}');
  });

  test("has copied the bytes when it returns, however slowly the upstream reads", async () => {
    const { promise: reads, resolve: read } = Promise.withResolvers<void>();
    const upstream = createServer(async (request, response) => {
      await reads;
      const hash = new Bun.CryptoHasher("sha256");
      for await (const chunk of request) hash.update(chunk as Buffer);
      response.end(hash.digest("hex"));
    });
    await once(upstream.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/`;
    const texts = ["p", "q"].map((letter) => `{"model":"before","p":"${letter.repeat(24 * mebibyte)}"}`);
    try {
      const answers = texts.map((text) => {
        const body = new RequestBody(Buffer.from(text));
        const sending = sendUpstream(fetch, { url, headers: {}, body: body.withModel("new") }, quiet);
        body.release();
        return sending;
      });
      // What was let go of is used again.
      const others = Array.from({ length: 4 }, () => Buffer.alloc(24 * mebibyte, "z"));
      await Bun.sleep(100);
      read();
      const hashes = await Promise.all(
        answers.map(async (sent) => ((await sent).ok ? ((await sent) as { response: Response }).response.text() : "")),
      );
      const wanted = texts.map((text) =>
        new Bun.CryptoHasher("sha256").update(text.replace('"before"', '"new"')).digest("hex"),
      );
      expect(hashes).toEqual(wanted);
      expect(others.length).toBe(4);
    } finally {
      upstream.close();
    }
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
