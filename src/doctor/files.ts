/** Whether what is private is private, and what lies about that nobody needs: in the state folder and beside the ledger. */

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  type Stats,
  statfsSync,
} from "node:fs";
import { createConnection } from "node:net";
import { basename, dirname } from "node:path";
import type { Homes } from "../config/paths.ts";
import { isAlive } from "../lifecycle/chain/processes.ts";
import { type Check, type Finding, fail, ok, warn } from "./finding.ts";

export interface FilePlace extends Pick<Homes, "stateDir" | "database"> {
  /** Undefined when there is none. */
  configPath: string | undefined;
  /** It has a key in it, rather than where one is found. */
  holdsKey: boolean;
  uid: number;
  /** Milliseconds since 1970. */
  now: number;
}

export function checkFiles(place: FilePlace): Check {
  return { area: "files", look: () => lookAtFiles(place) };
}

/** More are not looked at: the state folder holds some dozens. */
const maxFiles = 5_000;

/** More than these of a kind say nothing new. */
const maxTold = 20;

async function lookAtFiles(place: FilePlace): Promise<Finding[]> {
  const { stateDir, database, configPath, holdsKey } = place;
  const own = [
    ...(factsOf(stateDir) === undefined ? [] : [stateDir, ...filesBelow(stateDir)]),
    ...quietly(() => readdirSync(dirname(database)), []).flatMap((name) =>
      name.startsWith(basename(database)) ? [`${dirname(database)}/${name}`] : [],
    ),
    ...judgedConfig(configPath, holdsKey),
  ];
  const present = own.sort().flatMap((path) => {
    const facts = factsOf(path);
    return facts === undefined ? [] : [{ path, facts }];
  });
  const findings = [
    ...present.flatMap(({ path, facts }) => judgeOwner(path, facts, place)),
    ...present.flatMap(({ path, facts }) => judgeMode(path, facts)).slice(0, maxTold),
    ...staleFiles(place),
    ...(await staleSockets(stateDir)),
    ...judgeRoom(database),
  ];
  if (findings.length > 0) return findings;
  if (present.length === 0) return [ok("files", "there are none yet")];
  return [ok("files", `${present.length} files and folders of Clutch's are closed to others`)];
}

/** What it is a link to, as many keep it; one without a key, and without commands of everybody's, may be open. */
function judgedConfig(path: string | undefined, holdsKey: boolean): string[] {
  if (path === undefined) return [];
  const real = quietly(() => realpathSync(path), path);
  const isOpenToAll = ((factsOf(real)?.mode ?? 0) & 0o002) !== 0;
  return holdsKey || isOpenToAll ? [real] : [];
}

function factsOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** Not through symbolic links: what they lead to is not ours. */
function filesBelow(folder: string): string[] {
  const found: string[] = [];
  const waiting = [folder];
  for (let next = waiting.shift(); next !== undefined && found.length < maxFiles; next = waiting.shift()) {
    for (const entry of quietly(() => readdirSync(next as string, { withFileTypes: true }), [])) {
      const path = `${next}/${entry.name}`;
      if (entry.isDirectory()) waiting.push(path);
      if (entry.isDirectory() || entry.isFile()) found.push(path);
    }
  }
  return found;
}

function judgeOwner(path: string, facts: Stats, { uid }: FilePlace): Finding[] {
  if (facts.uid === uid || uid === 0) return [];
  const fix = `sudo chown ${uid} ${quote(path)}`;
  return [fail("files", `${path} belongs to user ${facts.uid}, not to you: a run as another user left it`, fix)];
}

/** 0700 for folders, 0600 for files; a program of the user's may stay executable for them. */
function judgeMode(path: string, facts: Stats): Finding[] {
  if (!facts.isFile() && !facts.isDirectory()) return [];
  const mode = facts.mode & 0o777;
  if ((mode & 0o077) === 0) return [];
  const wanted = mode & 0o700;
  const can = (mode & 0o022) !== 0 ? "change" : facts.isDirectory() ? "look into" : "read";
  const octal = (bits: number) => bits.toString(8).padStart(3, "0");
  return [
    warn("files", `others can ${can} ${path} (mode ${octal(mode)})`, `chmod ${octal(wanted)} ${quote(path)}`, () => {
      restrict(path, facts);
      // Whoever looks into an open ledger makes open files beside it, the doctor too.
      for (const suffix of ["-wal", "-shm"]) {
        const beside = factsOf(path + suffix);
        if (beside?.isFile() === true) restrict(path + suffix, beside);
      }
      return `chmod ${octal(wanted)} ${path}`;
    }),
  ];
}

/** The very file that was looked at, not what may stand in its place by now. */
function restrict(path: string, facts: Stats): void {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const now = fstatSync(file);
    if (now.ino === facts.ino && now.dev === facts.dev) fchmodSync(file, facts.mode & 0o700);
  } finally {
    closeSync(file);
  }
}

/** A draft lives for a moment, and so does an environment that waits for its launch. */
const staleMs = 60 * 60_000;

function staleFiles({ stateDir, database, now }: FilePlace): Finding[] {
  const isOld = (path: string) => now - (factsOf(path)?.mtimeMs ?? now) > staleMs;
  const remove = (path: string) => () => {
    rmSync(path, { force: true });
    return `removed ${path}`;
  };
  const waiting = filesBelow(`${stateDir}/launches`).filter((path) => path.endsWith(".env") && isOld(path));
  const drafts = filesBelow(stateDir).filter((path) => {
    const pid = /\.(?:json|env|yaml|key)\.(\d+)$/.exec(path)?.[1];
    return pid !== undefined && isOld(path) && !isAlive(Number(pid));
  });
  return [
    ...ownerlessPid(`${database}-serve.pid`),
    ...waiting.map((path) =>
      warn("files", `${path} holds the environment of a launch that never began`, `rm ${quote(path)}`, remove(path)),
    ),
    ...drafts.map((path) =>
      warn("files", `${path} was left half written by a process that is gone`, `rm ${quote(path)}`, remove(path)),
    ),
  ].slice(0, maxTold);
}

/** Names the gateway that holds the ledger; a killed one cannot take it away, and to the next one it says so. */
function ownerlessPid(path: string): Finding[] {
  const pid = Number(quietly(() => readFileSync(path, "utf8"), "").trim());
  if (!Number.isInteger(pid) || pid <= 0 || isAlive(pid)) return [];
  const text = `the last gateway (pid ${pid}) did not come to its end: it was killed, or the machine went down`;
  return [warn("files", text, "clutch db check; the next gateway looks at the ledger by itself")];
}

/** tmux servers that died leave their sockets. */
async function staleSockets(stateDir: string): Promise<Finding[]> {
  const found = await Promise.all(
    ["xx.sock", "chain.sock"].map(async (name) => {
      const path = `${stateDir}/${name}`;
      if (factsOf(path)?.isSocket() !== true || !(await isRefused(path))) return [];
      const text = `${path} is the socket of a tmux that is gone`;
      return [
        warn("files", text, `rm ${quote(path)}`, () => {
          rmSync(path, { force: true });
          return `removed ${path}`;
        }),
      ];
    }),
  );
  return found.flat();
}

/** Nobody listens there; a server that does not answer in time does. */
function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const done = (refused: boolean) => {
      socket.destroy();
      resolve(refused);
    };
    socket.setTimeout(500, () => done(false));
    socket.on("connect", () => done(false));
    socket.on("error", (cause: NodeJS.ErrnoException) => done(cause.code === "ECONNREFUSED"));
  });
}

/** The ledger writes some kilobytes a request. */
const littleRoomBytes = 200 * 1024 * 1024;

function judgeRoom(database: string): Finding[] {
  const folder = database.slice(0, database.lastIndexOf("/"));
  const room = quietly(() => {
    const { bavail, bsize } = statfsSync(folder);
    return Number(bavail) * Number(bsize);
  }, undefined);
  if (room === undefined || room > littleRoomBytes) return [];
  const text = `only ${Math.round(room / 1024 / 1024)} MB are free where the ledger is (${folder})`;
  return [warn("files", text, "free some: requests go on without room, but the ledger loses rows")];
}

/** As a shell takes it. */
export function quote(path: string): string {
  return /^[\w@%+=:,./~-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function quietly<Value>(look: () => Value, otherwise: Value): Value {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
