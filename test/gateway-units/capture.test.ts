import { expect, test } from "bun:test";
import { Capture } from "../../src/gateway/capture.ts";

const begin = (bytes: number) => new Capture("chat", Buffer.alloc(bytes, "x"), new Headers(), "", 0);
const limit = 4 * 1024 * 1024;

test("a capture holds no more than it keeps: what is too large lets go of its bytes at once", () => {
  const [kept, large] = [begin(limit), begin(limit + 1)];
  expect([kept.request?.length, kept.requestBytes, kept.heldBytes]).toEqual([limit, limit, limit]);
  expect([large.request, large.requestBytes, large.heldBytes]).toEqual([undefined, limit + 1, 0]);
  large.write(Buffer.alloc(limit, "y"));
  expect([large.heldBytes, large.response?.length]).toEqual([limit, limit]);
  large.write("y");
  expect([large.heldBytes, large.responseBytes, large.response]).toEqual([0, limit + 1, undefined]);
});
