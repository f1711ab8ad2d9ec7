/**
 * A key of Clutch's own, `clutch-<id>-<secret>`: its beginning says whose it is, and its id may be shown. Written by
 * `clutch keys create`, read by the gateway. Pure, but for the random numbers.
 */

/** Told by its beginning, also to those who look for secrets in places where none should be. */
const beginning = "clutch-";

const pattern = /^clutch-([a-z0-9]{8})-([A-Za-z0-9_-]{43})$/;

/** 256 bits. */
const secretBytes = 32;

export interface AccessKey {
  /** Lower-case letters and digits. */
  id: string;
  /** The whole key. */
  text: string;
}

export function makeAccessKey(): AccessKey {
  const id = randomId();
  const secret = crypto
    .getRandomValues(new Uint8Array(secretBytes))
    .toBase64({ alphabet: "base64url", omitPadding: true });
  return { id, text: `${beginning}${id}-${secret}` };
}

/** Whether it means to be one, well or badly copied. */
export function looksLikeAccessKey(text: string | undefined): boolean {
  return text?.startsWith(beginning) === true;
}

/** Undefined for what was not copied whole, or copied with something else. */
export function parseAccessKey(text: string): AccessKey | undefined {
  const id = pattern.exec(text)?.[1];
  return id === undefined ? undefined : { id, text };
}

/** What may be shown of it. */
export function maskAccessKey(text: string): string {
  const id = /^clutch-([a-z0-9]{8})-/.exec(text)?.[1];
  return id === undefined ? "(hidden)" : `${beginning}${id}-…`;
}

/** Without what is easily taken for something else (0 o 1 l i): ids are read aloud. */
function randomId(): string {
  const alphabet = "abcdefghjkmnpqrstuvwxyz23456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => alphabet[byte % alphabet.length]).join("");
}
