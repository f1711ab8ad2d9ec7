/**
 * Whose program listens at a port. A key must not be shown to another user of this machine who has taken the gateway's port
 * while the gateway was down. Loads nothing but `node:fs`.
 */

import { readFileSync } from "node:fs";

/**
 * Whether somebody other than this user and root listens where this address leads on this machine; of several that could be
 * meant, one of somebody else's is enough. False where that cannot be told: on other machines and on systems without /proc.
 */
export function isStrangersPort(url: string, uid = process.getuid?.()): boolean {
  if (process.platform !== "linux" || uid === undefined || !URL.canParse(url)) return false;
  const { hostname, port, protocol } = new URL(url);
  const addresses = addressesOf(hostname);
  const number = Number(port === "" ? (protocol === "https:" ? 443 : 80) : port);
  return (["tcp", "tcp6"] as const).some((table) =>
    listenersOf(readTable(table)).some(
      (listener) => listener.port === number && addresses.has(listener.address) && ![uid, 0].includes(listener.uid),
    ),
  );
}

export interface Listener {
  /** As the kernel writes it: hexadecimal, each word of four bytes in the machine's order. */
  address: string;
  port: number;
  uid: number;
}

/** Rows of /proc/net/tcp: number, hex ip:port, peer, state (0A = listening), queues, timer, retransmits, uid. Pure. */
export function listenersOf(table: string): Listener[] {
  const rows = table.matchAll(/^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A(?: +\S+){3} +(\d+)/gm);
  return [...rows].map(([, address = "", port = "", uid = ""]) => ({
    address,
    port: Number.parseInt(port, 16),
    uid: Number(uid),
  }));
}

const anyAddress = ["00000000", "0".repeat(32)];
const loopback6 = `${"0".repeat(24)}01000000`;

/** What a listener may be bound to so that a call to this host of this machine reaches it; empty for other hosts. */
function addressesOf(host: string): Set<string> {
  const bytes =
    /^127\.(\d+)\.(\d+)\.(\d+)$/.exec(host)?.slice(1).map(Number) ?? (host === "localhost" ? [0, 0, 1] : []);
  const hex = [...bytes.toReversed(), 127].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join("");
  const four = bytes.length === 0 ? [] : [hex, `${"0".repeat(16)}FFFF0000${hex}`];
  const six = host === "[::1]" || host === "localhost" ? [loopback6] : [];
  return new Set(four.length + six.length === 0 ? [] : [...four, ...six, ...anyAddress]);
}

function readTable(table: "tcp" | "tcp6"): string {
  try {
    return readFileSync(`/proc/net/${table}`, "utf8");
  } catch {
    return "";
  }
}
