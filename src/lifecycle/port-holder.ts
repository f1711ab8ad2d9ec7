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
  const inodes = new Set(["tcp", "tcp6"].flatMap((table) => listeningInodes(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const sockets = quietly(() => readdirSync(`/proc/${pid}/fd`), []);
    for (const descriptor of sockets) {
      const link = quietly(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`), "");
      const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
      if (inode !== undefined && inodes.has(inode)) return Number(pid);
    }
  }
  return undefined;
}

/** Rows of /proc/net/tcp: local address as hex ip:port in column 1, state in 3 (0A = listening), inode in 9. */
function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return quietly(() => readFileSync(`/proc/net/${table}`, "utf8"), "")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) && columns[3] === "0A")
    .flatMap((columns) => columns[9] ?? []);
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
