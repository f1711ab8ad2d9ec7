/** What is said where a request's body would be needed and was not kept. */

import { ClutchError } from "../src/errors.ts";

export function notCaptured(id: string): ClutchError {
  return new ClutchError("failed", `the body of request ${id} was not kept`, {
    hint: "bodies are kept only on demand: clutch requests capture on --for 1h, then ask again",
  });
}

export function tooLarge(id: string, bytes: number): ClutchError {
  return new ClutchError("failed", `the body of request ${id} was too large to be kept (${bytes} bytes)`, {
    hint: "bodies of up to 4 MB are",
  });
}
