/** The queries on captured bodies; there is no SQL elsewhere. */

import { zstdDecompressSync } from "node:zlib";
import { desc, eq, inArray, lt, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { Protocol } from "../protocols/chat.ts";
import { captures } from "./schema.ts";

export interface CapturedBodies {
  requestId: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  protocol: Protocol;
  query: string;
  headers: Readonly<Record<string, string>>;
  /** Undefined where it was too large to keep. */
  request: string | undefined;
  /** As it came. */
  requestBytes: number;
  /** What the client got; undefined where it was nothing, or too much. */
  response: string | undefined;
  responseBytes: number;
}

export interface CaptureQueries {
  save(captured: readonly CapturedBodies[]): Promise<void>;
  find(requestId: string): Promise<CapturedBodies | undefined>;
  /** How many there are, and what they take on the disk. */
  sum(): Promise<{ count: number; bytes: number }>;
  /** Deletes the oldest until the rest takes at most so many bytes. @returns how many it deleted */
  keepWithin(maxBytes: number): Promise<number>;
  /** Deletes those of before then (ms since 1970). @returns how many it deleted */
  forgetBefore(before: number): Promise<number>;
}

export function captureQueries(db: BunSQLiteDatabase): CaptureQueries {
  const stored = sql<number>`coalesce(sum(coalesce(length(request), 0) + coalesce(length(response), 0)), 0)`;
  const sum = () => db.select({ count: sql<number>`count(*)`, bytes: stored }).from(captures).get() ?? none;
  return {
    async save(captured) {
      db.transaction((transaction) => {
        for (const { request, response, headers, ...row } of captured) {
          const bodies = { request: pack(request), response: pack(response) };
          transaction
            .insert(captures)
            .values({ ...row, ...bodies, headers: JSON.stringify(headers) })
            .onConflictDoNothing()
            .run();
        }
      });
    },
    async find(requestId) {
      const row = db.select().from(captures).where(eq(captures.requestId, requestId)).get();
      if (row === undefined) return undefined;
      const headers = JSON.parse(row.headers) as Record<string, string>;
      return { ...row, headers, request: unpack(row.request), response: unpack(row.response) };
    },
    async sum() {
      return sum();
    },
    async keepWithin(maxBytes) {
      let over = sum().bytes - maxBytes;
      if (over <= 0) return 0;
      const size = sql<number>`coalesce(length(request), 0) + coalesce(length(response), 0)`;
      const rows = db.select({ id: captures.requestId, size }).from(captures).orderBy(captures.createdAt).all();
      const gone: string[] = [];
      for (const row of rows) {
        if (over <= 0) break;
        gone.push(row.id);
        over -= row.size;
      }
      db.delete(captures).where(inArray(captures.requestId, gone)).run();
      return gone.length;
    },
    async forgetBefore(before) {
      return db.delete(captures).where(lt(captures.createdAt, before)).returning({ id: captures.requestId }).all()
        .length;
    },
  };
}

/** For a command beside the gateway: a ledger of an earlier version has none. */
export async function findCapture(db: BunSQLiteDatabase, requestId: string): Promise<CapturedBodies | undefined> {
  return isThere(db) ? captureQueries(db).find(requestId) : undefined;
}

/** The newest request that was captured; undefined where none was. */
export async function newestCaptured(db: BunSQLiteDatabase): Promise<string | undefined> {
  if (!isThere(db)) return undefined;
  return db.select({ id: captures.requestId }).from(captures).orderBy(desc(captures.createdAt)).limit(1).get()?.id;
}

export async function sumCaptures(db: BunSQLiteDatabase): Promise<{ count: number; bytes: number }> {
  return isThere(db) ? captureQueries(db).sum() : none;
}

function isThere(db: BunSQLiteDatabase): boolean {
  return db.all(sql`SELECT name FROM sqlite_master WHERE name = 'captures'`).length > 0;
}

const none = { count: 0, bytes: 0 };

function pack(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(Bun.zstdCompressSync(Buffer.from(text)));
}

/** Much more than any that is kept: a ledger that somebody else has made may hold a few bytes that expand to all memory. */
const maxUnpackedBytes = 64 * 1024 * 1024;

/** Undefined also for what is none of ours. */
function unpack(bytes: Buffer | null): string | undefined {
  if (bytes === null) return undefined;
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: maxUnpackedBytes }).toString("utf8");
  } catch {
    return undefined;
  }
}
