/** Says who listens on a port of this machine: from /proc on Linux, from lsof elsewhere. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const lookLimitMs = 500;

/** Whether anybody listens there, on this machine. */
export async function isListening(port: number): Promise<boolean> {
  const nothing = { data: () => {}, error: () => {} };
  const connecting = Bun.connect({ hostname: "127.0.0.1", port, socket: nothing }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
  return Promise.race([connecting, Bun.sleep(lookLimitMs).then(() => false)]);
}

/** `clutch (pid 123)`, or `another process` when it belongs to somebody else or cannot be told. */
export async function describePortHolder(port: number): Promise<string> {
  const pid = process.platform === "linux" ? findListenerInProc(port) : await findListenerWithLsof(port);
  if (pid === undefined) return "another process (of another user, or gone by now)";
  return `${processName(pid)} (pid ${pid})`;
}

function findListenerInProc(port: number): number | undefined {
  const startedAtMs = performance.now();
  const known = searchProc(port);
  const isOld = [...seen.values()].some(({ atMs }) => atMs < startedAtMs);
  if (known !== undefined || !isOld) return known;
  // What was seen a moment ago may be older than the listener.
  seen.clear();
  return searchProc(port);
}

function searchProc(port: number): number | undefined {
  // Nearly all listen on IPv4, and the kernel takes milliseconds for either table.
  for (const table of ["tcp", "tcp6"] as const) {
    const inode = lookAtOnce(table, () => readListeners(table)).get(port);
    if (inode === undefined) continue;
    const pid = lookAtOnce("owners", readSocketOwners).get(inode);
    if (pid !== undefined) return pid;
  }
  return undefined;
}

/** How long what was seen is good for more ports (ms): `status` asks for several at once. */
const seenForMs = 100;
const seen = new Map<string, { atMs: number; what: unknown }>();

function lookAtOnce<Seen>(name: string, look: () => Seen): Seen {
  const known = seen.get(name);
  if (known !== undefined && performance.now() - known.atMs < seenForMs) return known.what as Seen;
  const what = look();
  seen.set(name, { atMs: performance.now(), what });
  return what;
}

/** The inodes of listening sockets by port. Rows of /proc/net/tcp: hex ip:port, peer, state (0A = listening), ..., inode as the ninth. */
function readListeners(table: "tcp" | "tcp6"): Map<number, string> {
  const text = quietly(() => readFileSync(`/proc/net/${table}`, "utf8"), "");
  const rows = text.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A(?: +\S+){5} +(\d+)/gm);
  return new Map([...rows].map(([, port = "", inode = ""]) => [Number.parseInt(port, 16), inode]));
}

function readSocketOwners(): Map<string, number> {
  const owners = new Map<string, number>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of quietly(() => readdirSync(`/proc/${pid}/fd`), [])) {
      const link = quietly(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`), "");
      if (link.startsWith("socket:[")) owners.set(link.slice(8, -1), Number(pid));
    }
  }
  return owners;
}

async function findListenerWithLsof(port: number): Promise<number | undefined> {
  const run = quietly(
    () => Bun.spawnSync(["lsof", "-nP", "-t", `-iTCP:${port}`, "-sTCP:LISTEN"], { stderr: "ignore" }),
    undefined,
  );
  const pid = Number(run?.stdout.toString().split("\n")[0]);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function processName(pid: number): string {
  const fromProc = quietly(() => readFileSync(`/proc/${pid}/comm`, "utf8").trim(), "");
  if (fromProc !== "") return fromProc;
  const run = quietly(() => Bun.spawnSync(["ps", "-p", String(pid), "-o", "comm="], { stderr: "ignore" }), undefined);
  return run?.stdout.toString().trim().split("/").at(-1) || "a process";
}

/** Processes and descriptors vanish while they are looked at. */
function quietly<Value>(look: () => Value, otherwise: Value): Value {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
