import { describe, expect, test } from "bun:test";
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { Patched } from "../../providers/request.ts";
import { BodyTooLarge, maxBodyBytes, parseAtOnceBytes, RequestBody, readBody } from "../../src/gateway/body.ts";
import { ProtocolError } from "../../src/protocols/codec.ts";

const padding = "x".repeat(parseAtOnceBytes);

/** The same members in a body that is parsed at once, and in one that is only peeked at. */
const sizes = (members: string): [small: string, large: string] => [
  `{${members}}`,
  `{"padding":"${padding}"${members === "" ? "" : `,${members}`}}`,
];

describe("RequestBody", () => {
  const bodies: [members: string, said: [model: string, stream: boolean, hasTools: boolean]][] = [
    ['"model":"m"', ["m", false, false]],
    ['"stream":true,"model":"m","tools":[{}]', ["m", true, true]],
    ['"model":"m","stream":false,"tools":[ ]', ["m", false, false]],
    ['"model":"m","stream":"true","tools":{}', ["m", false, false]],
    ['"model":"m","stream":null,"tools":null', ["m", false, false]],
    ['"model":"\\u00e9 \\"q\\"","metadata":{"stream":true,"tools":[1]}', ['é "q"', false, false]],
  ];
  test.each(bodies)("reads %s, small and large", (members, said) => {
    for (const text of sizes(members)) {
      const body = new RequestBody(Buffer.from(text));
      expect([body.model, body.stream, body.hasTools]).toEqual(said);
      body.json();
      expect([body.model, body.stream, body.hasTools]).toEqual(said);
    }
  });

  const required = "model: a non-empty string is required";
  const mistakes: [name: string, members: string, message: string][] = [
    ["no model", '"stream":true', required],
    ["an empty model", '"model":""', required],
    ["a number for a model", '"model":5', required],
    ["a list of models", '"model":["a","b"]', required],
    ["a model in another member only", '"metadata":{"model":"x"}', required],
    ["a name that no model has", `"model":"${"m".repeat(1_001)}"`, "model: longer than 1000 characters"],
    ["a key that is spelt with escapes", '"\\u006dodel":"m"', "model: spell the key without escapes"],
  ];
  test.each(mistakes)("refuses %s, small and large", (_name, members, message) => {
    for (const text of sizes(members)) {
      const read = () => new RequestBody(Buffer.from(text)).model;
      expect(read).toThrow(ProtocolError);
      expect(read).toThrow(message);
      expect(read).toThrow(expect.objectContaining({ param: "model" }));
    }
  });

  const broken: [name: string, text: string, message: string][] = [
    ["nothing", "", "the request body is not valid JSON"],
    ["words", "hello", "the request body is not valid JSON"],
    ["a cut object", '{"model":"m"', "the request body is not valid JSON"],
    ["a form", "model=m", "the request body is not valid JSON"],
    ["a list", '[{"model":"m"}]', "the request body is not a JSON object"],
    ["null", "null", "the request body is not a JSON object"],
    ["a text", '"m"', "the request body is not a JSON object"],
    ["a large cut object", `{"model":"m","p":"${padding}"`, "the request body is not a complete JSON object"],
    ["a large list", `[{"model":"m","p":"${padding}"}]`, "the request body is not a complete JSON object"],
    ["large words", `${padding}x`, "the request body is not a complete JSON object"],
    ["large spaces", " ".repeat(parseAtOnceBytes + 1), "the request body is not a complete JSON object"],
  ];
  test.each(broken)("refuses %s", (_name, text, message) => {
    const read = () => new RequestBody(Buffer.from(text));
    expect(read).toThrow(ProtocolError);
    expect(read).toThrow(message);
  });

  test("says where JSON breaks in one line, without the parser's prefix", () => {
    expect(() => new RequestBody(Buffer.from('{"model":}'))).toThrow(
      /^the request body is not valid JSON \((?!JSON Parse).+\)$/,
    );
  });

  test("is the same bytes when the model stays", () => {
    const bytes = Buffer.from('{ "model" : "m" }');
    expect(new RequestBody(bytes).withModel("m")).toBe(bytes);
  });

  test("shares the bytes around another model", () => {
    const bytes = Buffer.from('{"a":1,"model":"m","b":2}');
    const patched = new RequestBody(bytes).withModel("v/n", { start: 18, end: 24 }) as Patched;
    expect(patched.bytes).toBe(bytes);
    expect(patched.patches.map(({ start, end, put }) => [start, end, String(put)])).toEqual([
      [15, 18, '"v/n"'],
      [18, 24, ""],
    ]);
  });

  test("gives its memory back at once when it is let go of, but none that others share", () => {
    const large = Buffer.alloc(parseAtOnceBytes + 1, 0x20);
    large.write('{"model":"m"');
    large.write("}", large.length - 1);
    const body = new RequestBody(large);
    body.release();
    expect([large.length, body.size, body.bytes.length]).toEqual([0, parseAtOnceBytes + 1, 0]);
    body.release();
    const shared = Buffer.from(`{"model":"m","p":"${padding}"}   `).subarray(0, -1);
    const small = Buffer.from('{"model":"m"}');
    for (const bytes of [shared, small]) {
      const before = String(bytes);
      new RequestBody(bytes).release();
      expect(String(bytes)).toBe(before);
    }
  });
});

const url = "http://127.0.0.1/v1/messages";

function request(body: Buffer | ReadableStream<Uint8Array> | null, headers: Record<string, string> = {}): Request {
  // A copy, since only bytes that nobody shares may be a body in the standard's types.
  const bytes = Buffer.isBuffer(body) ? new Uint8Array(body) : body;
  return new Request(url, { method: "POST", body: bytes, headers });
}

/** A body of so many mebibytes in chunks, without a declared length. */
function flowing(mebibytes: number): { stream: ReadableStream<Uint8Array>; given(): number } {
  const chunk = new Uint8Array(1024 * 1024);
  let given = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (given === mebibytes) controller.close();
      else {
        given++;
        controller.enqueue(chunk);
      }
    },
  });
  return { stream, given: () => given };
}

describe("readBody()", () => {
  const text = '{"model":"m","text":"naïve 👍"}';
  const plain = Buffer.from(text);
  const encodings: [encoding: string, bytes: Buffer][] = [
    ["identity", plain],
    ["gzip", gzipSync(plain)],
    ["zstd", zstdCompressSync(plain)],
    ["br", brotliCompressSync(plain)],
    ["deflate", deflateSync(plain)],
    ["GZIP", gzipSync(plain)],
  ];
  test.each(encodings)("expands %s", async (encoding, bytes) => {
    expect((await readBody(request(bytes, { "content-encoding": encoding }))).toString()).toBe(text);
  });

  test("reads a body that comes in pieces, and none at all", async () => {
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of plain) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    expect((await readBody(request(pieces))).toString()).toBe(text);
    expect((await readBody(request(null))).toString()).toBe("");
  });

  const refused: [name: string, encoding: string, bytes: Buffer, message: string][] = [
    ["an encoding that is unknown", "lzma", plain, 'content-encoding "lzma" is not supported: send gzip or zstd'],
    [
      "an encoding by the name of something every object has",
      "constructor",
      plain,
      'content-encoding "constructor" is not supported: send gzip or zstd',
    ],
    ["what is no gzip", "gzip", plain, "the request body does not expand as gzip"],
    ["a cut gzip", "gzip", gzipSync(plain).subarray(0, 20), "the request body does not expand as gzip"],
    ["what is no zstd", "zstd", plain, "the request body does not expand as zstd"],
  ];
  test.each(refused)("refuses %s", async (_name, encoding, bytes, message) => {
    const reading = readBody(request(bytes, { "content-encoding": encoding }));
    const error = await reading.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ message });
  });

  test("refuses a length above the limit before it reads anything", async () => {
    const { stream, given } = flowing(1);
    const reading = readBody(request(stream, { "content-length": String(maxBodyBytes + 1) }));
    expect(await reading.catch(String)).toBe("BodyTooLarge: the request body is larger than 32 MB");
    expect(given()).toBeLessThanOrEqual(1);
  });

  test("stops reading a body without a length once it is above the limit", async () => {
    const { stream, given } = flowing(64);
    expect(await readBody(request(stream)).catch((error: unknown) => error)).toBeInstanceOf(BodyTooLarge);
    expect(given()).toBeLessThanOrEqual(35);
  });

  test("takes a body of exactly the limit", async () => {
    expect((await readBody(request(flowing(32).stream))).length).toBe(maxBodyBytes);
  });

  const zeros = Buffer.alloc(maxBodyBytes + 1);
  const bombs: [encoding: string, bytes: () => Buffer][] = [
    ["gzip", () => gzipSync(zeros, { level: 1 })],
    ["zstd", () => zstdCompressSync(zeros)],
    ["br", () => brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ["deflate", () => deflateSync(zeros, { level: 1 })],
  ];
  test.each(bombs)("refuses %s that expands beyond the limit", async (encoding, bytes) => {
    const reading = readBody(request(bytes(), { "content-encoding": encoding }));
    expect(await reading.catch((error: unknown) => error)).toBeInstanceOf(BodyTooLarge);
  });
});
