/**
 * The queries on requests, their attempts and what they add up to; there is no SQL elsewhere. Asynchronous, so that a server
 * database fits later. A row and its part of the sums are written in one transaction.
 */

import { and, desc, eq, gt, isNotNull, isNull, lt, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { Additions } from "./rollup.ts";
import { type AttemptRow, attempts, type RequestRow, requests } from "./schema.ts";
import type { prepareAll } from "./statements.ts";
import type { LaunchRow, PriceRow } from "./sums-schema.ts";

/** What is written beside requests: where they came from, and what their costs were counted from. Known rows stay as they are. */
export interface Besides {
  launches: readonly LaunchRow[];
  prices: readonly PriceRow[];
}

export interface RequestQueries {
  /**
   * Writes rows as they now are, new or known, in one transaction. A row that has ended stays as it ended. Rows without a
   * folder get that of their launch, in place.
   */
  save(requestRows: readonly RequestRow[], attemptRows: readonly AttemptRow[], besides?: Besides): Promise<void>;
  /** Turns rows that an ended process left pending into aborted ones, and says how many. */
  recoverPending(): Promise<number>;
  find(id: string): Promise<{ request: RequestRow; attempts: AttemptRow[] } | undefined>;
  /** The next `provider:model` behind this one in the alphabet of whose answers the cost is not known. */
  nextUnpriced(after: string): Promise<string | undefined>;
  /** Requests that it answered at an unknown cost, the newest first, whose ids are before this one. */
  unpricedOf(servedBy: string, before: string, limit: number): Promise<RequestRow[]>;
  /** Puts costs into rows that have none. @returns those that it was told to, and did */
  setCosts(rows: readonly PricedRow[]): Promise<RequestRow[]>;
  /** As `nextUnpriced`, of answers that were left and that their upstream has counted. */
  nextUnpricedLeft(after: string): Promise<string | undefined>;
  /** Those of it, the newest first, up to so many. */
  unpricedLeftOf(reference: string, limit: number): Promise<AttemptRow[]>;
  /** As `setCosts`; each with its request. */
  setLeftCosts(rows: readonly PricedAttempt[]): Promise<PricedLeft[]>;
}

/** An attempt's columns that tell its cost. */
export type PricedAttempt = Pick<AttemptRow, "requestId" | "number" | "costUsd" | "pricing">;

export interface PricedLeft {
  attempt: AttemptRow;
  request: RequestRow;
}

/** A request's columns that tell its cost. */
export type PricedRow = Pick<
  RequestRow,
  "id" | "costUsd" | "pricing" | "priceSource" | "priceAt" | "firstChoiceUsd" | "compressionUsd"
>;

export function requestQueries(db: BunSQLiteDatabase): RequestQueries {
  // Prepared by the first rows: a gateway that starts has none, and somebody waits for it.
  let statements: ReturnType<typeof prepareAll> | undefined;
  const prepared = async () => {
    statements ??= (await import("./statements.ts")).prepareAll(db);
    return statements;
  };
  const findRequest = (id: string) => db.select().from(requests).where(eq(requests.id, id)).get();

  return {
    async save(requestRows, attemptRows, besides) {
      const { saveRequest, saveLate, saveAttempt, saveLaunch, savePrice, folderOf, isPriceKnown, write } =
        statements ?? (await prepared());
      db.transaction(() => {
        const additions = new Additions();
        for (const launch of besides?.launches ?? []) saveLaunch(launch);
        const folders = new Map<string, string | null>();
        const folderIn = (launchId: string) => {
          const known = folders.get(launchId);
          if (known !== undefined) return known;
          const found = folderOf(launchId);
          folders.set(launchId, found);
          return found;
        };
        for (const row of requestRows) {
          if (row.launchId != null && row.folder == null) row.folder = folderIn(row.launchId);
          if (saveRequest(row) === 0) saveLate(row);
          else if (row.status !== "pending") additions.add(row);
        }
        for (const attempt of attemptRows) {
          if (saveAttempt(attempt) === 0 || attempt.outputTokens == null) continue;
          // Few answers are left with a bill.
          const row = requestRows.find(({ id }) => id === attempt.requestId) ?? findRequest(attempt.requestId);
          if (row !== undefined) additions.addLeft(row, attempt);
        }
        for (const price of besides?.prices ?? []) if (!isPriceKnown(price)) savePrice(price);
        write(additions);
      });
    },
    async recoverPending() {
      const pending = eq(requests.status, "pending");
      if (db.select({ id: requests.id }).from(requests).where(pending).limit(1).get() === undefined) return 0;
      const { write } = await prepared();
      return db.transaction(() => {
        const recovered = db
          .update(requests)
          .set({ status: "aborted", error: "the gateway ended before the answer did" })
          .where(pending)
          .returning()
          .all();
        const additions = new Additions();
        for (const row of recovered) additions.add(row);
        write(additions);
        return recovered.length;
      });
    },
    async find(id) {
      const request = findRequest(id);
      if (request === undefined) return undefined;
      const made = db.select().from(attempts).where(eq(attempts.requestId, id)).orderBy(attempts.number).all();
      return { request, attempts: made };
    },
    async nextUnpriced(after) {
      const row = db
        .select({ servedBy: requests.servedBy })
        .from(requests)
        .where(and(isUnpriced, gt(requests.servedBy, after)))
        .orderBy(requests.servedBy)
        .limit(1)
        .get();
      return row?.servedBy ?? undefined;
    },
    async unpricedOf(servedBy, before, limit) {
      return db
        .select()
        .from(requests)
        .where(and(isUnpriced, eq(requests.servedBy, servedBy), lt(requests.id, before)))
        .orderBy(desc(requests.id))
        .limit(limit)
        .all();
    },
    async setCosts(rows) {
      const { write } = await prepared();
      return db.transaction(() => {
        const additions = new Additions();
        const done: RequestRow[] = [];
        for (const { id, ...cost } of rows) {
          const before = db
            .select()
            .from(requests)
            .where(and(isUnpriced, eq(requests.id, id)))
            .get();
          if (before === undefined || before.status === "pending") continue;
          db.update(requests).set(cost).where(eq(requests.id, id)).run();
          const after = { ...before, ...cost };
          additions.replace(before, after);
          done.push(after);
        }
        write(additions);
        return done;
      });
    },
    async nextUnpricedLeft(after) {
      const row = db
        .select({ reference: answeredBy })
        .from(attempts)
        .where(and(isLeftUnpriced, gt(answeredBy, after)))
        .orderBy(answeredBy)
        .limit(1)
        .get();
      return row?.reference;
    },
    async unpricedLeftOf(reference, limit) {
      return db
        .select()
        .from(attempts)
        .where(and(isLeftUnpriced, eq(answeredBy, reference)))
        .orderBy(desc(attempts.requestId), desc(attempts.number))
        .limit(limit)
        .all();
    },
    async setLeftCosts(rows) {
      const { write } = await prepared();
      return db.transaction(() => {
        const additions = new Additions();
        const done: PricedLeft[] = [];
        for (const { requestId, number, ...cost } of rows) {
          const isIt = and(eq(attempts.requestId, requestId), eq(attempts.number, number));
          const before = db.select().from(attempts).where(and(isIt, isLeftUnpriced)).get();
          const request = findRequest(requestId);
          if (before === undefined || request === undefined) continue;
          db.update(attempts).set(cost).where(isIt).run();
          const attempt = { ...before, ...cost };
          additions.replaceLeft(request, before, attempt);
          done.push({ attempt, request });
        }
        write(additions);
        return done;
      });
    },
  };
}

/** In the words of the index on these rows. */
const isUnpriced = and(isNotNull(requests.servedBy), isNull(requests.costUsd));

/** In the words of the index on these attempts. */
const answeredBy = sql<string>`"provider" || ':' || "model"`;
const isLeftUnpriced = and(isNotNull(attempts.outputTokens), isNull(attempts.costUsd));
