/**
 * kill -9 at random moments while agents work: what a client saw answered is in the ledger, but for the last moments; nothing
 * ended twice, and nothing is under way for ever. CLUTCH_KILLS=200 for as many as the project promises.
 */

import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { flushMs } from "../../src/gateway/ledger.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import { checkLedger } from "../../src/store/upkeep.ts";
import { ledgerUsage, streamed, whole } from "../support/answers.ts";
import { makeHome, programs, type ServeProcess, startServe } from "../support/gateway.ts";

const kills = Number(process.env["CLUTCH_KILLS"] ?? 20);
const clients = 6;
/** A gateway lives for at most so long (ms). */
const lifeMs = 700;
/** What docs/ledger.md says: rows are written `flushMs` after they have ended, and a busy machine takes its time. */
const windowMs = flushMs + 225;

const home = makeHome();
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Answered {
  id: string;
  at: number;
}

test(
  `after ${kills} times kill -9 the ledger is whole`,
  async () => {
    const seed = Date.now() % 1_000_000;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    const upstream = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        const { stream } = (await request.json()) as { stream?: boolean };
        await Bun.sleep(random() * 40);
        if (stream !== true) return Response.json(whole.chat);
        return new Response(streamed("chat"), { headers: { "content-type": "text/event-stream" } });
      },
    });
    const provider = { protocol: "chat", base_url: `http://127.0.0.1:${upstream.port}/v1`, api_key: "k" };
    const config = { server: { port: 0 }, default_provider: "box", providers: { box: provider } };
    const { argv } = programs.at(-1) ?? { argv: [] };
    const lost: string[] = [];
    let answers = 0;
    let certain = 0;
    try {
      for (let kill = 0; kill < kills; kill++) {
        const server = await startServe({ home, config, argv });
        const answered = workUntilKilled(server, random);
        await Bun.sleep(random() * lifeMs);
        server.kill("SIGKILL");
        const killedAt = performance.now();
        await server.exited;
        const seen = await answered;
        answers += seen.length;
        const due = seen.filter(({ at }) => killedAt - at > windowMs);
        certain += due.length;
        lost.push(...(await notCompleted(due)));
      }
    } finally {
      await upstream.stop(true);
    }
    console.log(`${answers} answers were seen, ${certain} of them more than ${windowMs} ms before a kill`);
    expect(lost).toEqual([]);
    expect(certain).toBeGreaterThan(kills);

    const store = openStore(join(home, "clutch.db"));
    expect(store.movedAside).toBeUndefined();
    await requestQueries(store.db).recoverPending();
    const { problems, pending } = checkLedger(store.db.$client, store.path);
    const [[rows, ended, output] = []] = store.db.$client
      .query(
        `SELECT count(*), sum(status <> 'pending'), sum(CASE WHEN status = 'completed' THEN ${ledgerUsage.output_tokens} ELSE coalesce(output_tokens, 0) END) FROM requests`,
      )
      .values() as number[][];
    const [[summed, summedOutput] = []] = store.db.$client
      .query("SELECT sum(requests), sum(output_tokens) FROM usage_days")
      .values() as number[][];
    store.close();
    expect([problems, pending]).toEqual([[], 0]);
    expect([ended, summed, summedOutput]).toEqual([rows, rows, output]);
  },
  20_000 + kills * 2_500,
);

/** Several agents that ask again as soon as they have been answered, until nobody answers. */
async function workUntilKilled({ url }: ServeProcess, random: () => number): Promise<Answered[]> {
  const answered: Answered[] = [];
  const work = async () => {
    for (;;) {
      try {
        const body = { model: "box:m", stream: random() < 0.5, messages: [{ role: "user", content: "Hello" }] };
        const response = await fetch(`${url}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", "x-session-id": `s${Math.floor(random() * 5)}` },
          body: JSON.stringify(body),
          keepalive: false,
        });
        const text = await response.text();
        const isWhole = response.status === 200 && (!body.stream || text.includes("[DONE]"));
        if (isWhole) answered.push({ id: response.headers.get("x-clutch-request-id") ?? "", at: performance.now() });
      } catch {
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, work));
  return answered;
}

/** Looked for as the next gateway finds it. */
async function notCompleted(due: readonly Answered[]): Promise<string[]> {
  const store = openStore(join(home, "clutch.db"));
  const queries = requestQueries(store.db);
  const missing: string[] = [];
  for (const { id } of due) {
    const status = (await queries.find(id))?.request.status;
    if (status !== "completed") missing.push(`${id} is ${status ?? "not there"}`);
  }
  store.close();
  return missing;
}

function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
