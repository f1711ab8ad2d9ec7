import { afterAll, describe, expect, test } from "bun:test";
import type { ListCopy } from "../../src/models/catalogue.ts";
import { fetchList } from "../../src/models/fetch-list.ts";
import { parseOpenRouterList } from "../../src/models/lists.ts";
import { openRouterList, openRouterModel } from "./samples.ts";

const asked: { path: string; headers: Record<string, string> }[] = [];
const hanging = Promise.withResolvers<Response>();
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    asked.push({ path: pathname + search, headers: Object.fromEntries(request.headers) });
    const list = openRouterList(openRouterModel("v/a"));
    switch (pathname + search) {
      case "/list":
        return request.headers.get("if-none-match") === '"1"'
          ? new Response(null, { status: 304 })
          : Response.json(list, { headers: { etag: '"1"', "last-modified": "Fri, 20 Nov 2026 10:00:00 GMT" } });
      case "/paged":
        return Response.json({ ...list, links: { next: "/paged?offset=1" } }, { headers: { etag: '"p"' } });
      case "/paged?offset=1":
        return Response.json({
          ...openRouterList(openRouterModel("v/b")),
          links: { next: "http://127.0.0.1:1/elsewhere" },
        });
      case "/endless":
        return Response.json({ ...list, links: { next: "/endless" } });
      case "/html":
        return new Response("<!doctype html>");
      case "/other":
        return Response.json({ ok: true });
      case "/large":
        return new Response("x".repeat(3_000_000));
      case "/hangs":
        return hanging.promise;
      case "/stalls":
        return new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode('{"data": [')),
          }),
        );
      default:
        return new Response("no", { status: 503 });
    }
  },
});
afterAll(() => {
  hanging.resolve(new Response());
  return server.stop(true);
});

const limits = { timeoutMs: 400, maxBytes: 1024 * 1024 };
const parse = (body: unknown) => {
  const models = parseOpenRouterList(body);
  return models === undefined ? undefined : { openrouter: models };
};
const get = (path: string, known?: ListCopy, port: number | undefined = server.port) =>
  fetchList({ url: `http://127.0.0.1:${port}${path}`, known, parse }, fetch, () => 1000, limits);

async function fresh(path: string, known?: ListCopy): Promise<ListCopy> {
  const outcome = await get(path, known);
  if (outcome.kind !== "fresh") throw new Error(`${path}: ${JSON.stringify(outcome)}`);
  return outcome.copy;
}

describe("fetchList()", () => {
  test("keeps the stamps, and asks with them the next time", async () => {
    const first = await fresh("/list");
    expect(first).toMatchObject({ checkedAt: 1000, etag: '"1"', lastModified: "Fri, 20 Nov 2026 10:00:00 GMT" });
    expect(Object.keys(first.providers["openrouter"] ?? {})).toEqual(["v/a"]);
    const { kind, copy } = (await get("/list", { ...first, checkedAt: 5 })) as { kind: string; copy: ListCopy };
    expect({ kind, copy }).toEqual({ kind: "unchanged", copy: first });
    const { headers } = asked.at(-1) ?? { headers: {} as Record<string, string> };
    expect(headers["if-none-match"]).toBe('"1"');
    expect(headers["user-agent"]).toMatch(/^clutch\/\d/);
    expect(headers["authorization"]).toBeUndefined();
  });

  test("asks without stamps at another address", async () => {
    expect((await get("/list", { url: "http://elsewhere", checkedAt: 1, etag: '"1"', providers: {} })).kind).toBe(
      "fresh",
    );
    expect(asked.at(-1)?.headers["if-none-match"]).toBeUndefined();
  });

  test("follows pages at the same place, and does not take the first one's stamp for all", async () => {
    asked.length = 0;
    const copy = await fresh("/paged");
    expect(Object.keys(copy.providers["openrouter"] ?? {})).toEqual(["v/a", "v/b"]);
    expect(copy.etag).toBeUndefined();
    expect(asked.map(({ path }) => path)).toEqual(["/paged", "/paged?offset=1"]);
    asked.length = 0;
    await fresh("/endless");
    expect(asked.length).toBe(10);
  });

  test.each([
    ["/html", "what it sent is not JSON"],
    ["/other", "what it sent is no list of models"],
    ["/none", "it answered 503"],
    ["/large", "it sent more than 1 MB"],
    ["/hangs", "no answer within 0.4 s"],
    ["/stalls", "no answer within 0.4 s"],
  ])("%s fails: %s", async (path, reason) => {
    expect(await get(path)).toEqual({ kind: "failed", reason });
  });

  test("a dead address fails in words", async () => {
    expect(await get("/list", undefined, 1)).toEqual({ kind: "failed", reason: "connection refused" });
  });
});
