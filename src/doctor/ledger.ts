/** Whether the ledger can be read and written by this version, and what it says is out of order. */

import { Database } from "bun:sqlite";
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { BreakerReport } from "../explain/breakers.ts";
import { renderClock } from "../explain/clock.ts";
import { renderCount } from "../explain/counts.ts";
import { newestMigrationMs } from "../store/migrate.ts";
import { quote } from "./files.ts";
import { type Check, type Finding, fail, ok, warn } from "./finding.ts";

/** Above this every page is not read: that may take minutes (bytes). */
const maxCheckedBytes = 256 * 1024 * 1024;

export function checkDatabase(path: string): Check {
  return { area: "database", look: () => lookAtDatabase(path) };
}

function lookAtDatabase(path: string): Finding[] {
  return [...lookInto(path), ...putAside(path)];
}

/** A gateway that could not read its ledger has begun another. */
function putAside(path: string): Finding[] {
  const folder = dirname(path);
  const names = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.startsWith(`${basename(path)}.broken`))
    : [];
  return names
    .filter((name) => !/-(?:wal|shm)$/.test(name))
    .map((name) => {
      const aside = `${folder}/${name}`;
      return warn(
        "database",
        `a ledger that could not be read was put aside: ${aside}`,
        `rm ${quote(aside)}* where nothing of it is wanted`,
      );
    });
}

function lookInto(path: string): Finding[] {
  if (!existsSync(path)) return [ok("database", `no ledger yet (${path}): the first gateway makes one`)];
  const { size } = statSync(path);
  let client: Database | undefined;
  try {
    client = new Database(path, { readonly: true });
    client.run("PRAGMA busy_timeout = 2000");
    const isWhole = size > maxCheckedBytes;
    const result = isWhole ? "ok" : (client.query("PRAGMA quick_check(1)").values()[0]?.[0] ?? "ok");
    if (result !== "ok") return [broken(path, String(result))];
    const newest = client.query("SELECT max(created_at) FROM __drizzle_migrations").values()[0]?.[0];
    if (Number(newest ?? 0) > newestMigrationMs) {
      const text = `${path} was made by a newer Clutch: this one refuses to serve from it`;
      return [fail("database", text, "update Clutch, or set CLUTCH_HOME")];
    }
    const count = Number(client.query("SELECT count(*) FROM requests").values()[0]?.[0] ?? 0);
    const note = isWhole ? ", too large to be read whole here" : "";
    return [ok("database", `${path}: ${renderCount(count)} requests in ${megabytes(size)}${note}`)];
  } catch (cause) {
    return [broken(path, cause instanceof Error ? cause.message : String(cause))];
  } finally {
    client?.close();
  }
}

function broken(path: string, why: string): Finding {
  const fix = "clutch db backup keeps what can be read; the next gateway puts the file aside and begins a new one";
  return fail("database", `${path} is no sound ledger: ${why.split("\n")[0]}`, fix);
}

function megabytes(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

/** @param listed as the gateway knows them, or the ledger; undefined where neither tells */
export function judgeBreakers(listed: readonly BreakerReport[] | undefined, now: number): Finding[] {
  if (listed === undefined) return [ok("breakers", "nothing is known to be out of order")];
  const out = listed.filter(({ state }) => state !== "counting");
  if (out.length === 0) return [ok("breakers", "nothing is out of order")];
  return out.map(({ id, what, reason, back_at: until }) => {
    const back = until === null ? "" : `, back ${renderClock(Date.parse(until), now)}`;
    return warn(
      "breakers",
      `${what} is out of order${reason === null ? "" : `: ${reason}`}${back}`,
      `wait, or clutch breakers reset ${quote(id)}`,
    );
  });
}
