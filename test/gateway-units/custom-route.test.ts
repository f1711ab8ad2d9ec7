import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../src/config/schema.ts";
import {
  CustomRoute,
  callLimitMs,
  configForScript,
  locateScript,
  type ScriptRequest,
} from "../../src/gateway/custom-route.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-script-"));
const folder = join(root, "config");
mkdirSync(join(folder, "sub"), { recursive: true });
afterAll(() => rmSync(root, { recursive: true, force: true }));

let written = 0;
function write(name: string, code: string): void {
  writeFileSync(join(folder, name), code);
  // Two edits within one tick of the file system's clock would look like one.
  written += 1;
  utimesSync(join(folder, name), 1_700_000_000 + written, 1_700_000_000 + written);
}

const request: ScriptRequest = {
  protocol: "chat",
  model: "m1",
  agent: "c",
  code: "cip",
  body: { model: "m1" },
  facts: { tokens: 7 },
};
const anyName = () => undefined;
const open: CustomRoute[] = [];
afterEach(() => {
  for (const script of open.splice(0)) script.close();
});

function scripted(code: string, name = "router.ts"): { script: CustomRoute; lines: string[] } {
  write(name, code);
  const lines: string[] = [];
  const script = new CustomRoute({ log: (line) => lines.push(line) });
  open.push(script);
  script.configure(parseConfig({ routes: { custom: `./${name}` } }, "c.json"), folder);
  return { script, lines };
}

describe("CustomRoute", () => {
  test("asks a TypeScript file, with the request and the config, and what it imports", async () => {
    write("helper.ts", "export const small: string = 'SMALL';");
    const { script, lines } = scripted(`
      import { small } from "./helper.ts";
      type Request = { model: string; agent: string | null; code: string; body: { model: string }; facts: { tokens: number } };
      export async function route(request: Request, config: { routes: { custom: string } }): Promise<string | null> {
        if (request.model === "none") return null;
        if (request.model === "small") return small;
        return [request.agent, request.code, request.body.model, request.facts.tokens, config.routes.custom].join(" ");
      }`);
    expect(await script.ask(request, anyName)).toEqual({ answer: "c cip m1 7 ./router.ts" });
    expect(await script.ask({ ...request, model: "small" }, anyName)).toEqual({ answer: "SMALL" });
    expect(await script.ask({ ...request, model: "none" }, anyName)).toEqual({ reason: "the script declined" });
    expect([lines, script.problems()]).toEqual([[], []]);
  });

  test("asks a default export of a JavaScript file too", async () => {
    const { script } = scripted("export default ({ model }) => model === 'm1' ? 'a/b' : undefined;", "r.js");
    expect(await script.ask(request, anyName)).toEqual({ answer: "a/b" });
    expect(await script.ask({ ...request, model: "x" }, anyName)).toEqual({ reason: "the script declined" });
  });

  const failing: [name: string, code: string, reason: string][] = [
    ["throws", "export function route() { throw new Error('no luck'); }", "it threw: no luck"],
    ["rejects", "export async function route() { throw 'words'; }", "it threw: words"],
    [
      "returns nonsense",
      "export const route = () => 42;",
      "route() returned a value of type number, not a model, a tier or null",
    ],
    [
      "returns what cannot be sent",
      "export const route = () => () => 1;",
      "route() returned a value of type function, not a model, a tier or null",
    ],
    ["does not compile", "export const route: = 1;", "Unexpected ="],
    ["exports nothing", "const route = () => 'a/b';", "it exports no function named route, and none as default"],
    ["throws at its start", "throw new Error('broken'); export const route = () => 'a/b';", "broken"],
    ["waits too long", "export const route = () => new Promise(() => {});", `it took longer than ${callLimitMs} ms`],
    ["hangs", "export function route() { for (;;); }", `it took longer than ${callLimitMs} ms and was ended`],
    ["ends itself", "export function route() { process.exit(3); }", "it ended its own Worker"],
  ];
  test.each(failing)("goes on without a script that %s, and says so once", async (_name, code, reason) => {
    const { script, lines } = scripted(code);
    expect(await script.ask(request, anyName)).toEqual({ reason });
    expect(await script.ask(request, anyName)).toMatchObject({ reason: expect.any(String) });
    const told = `routes.custom ./router.ts: ${reason}; requests go on by the next rule`;
    expect([lines, script.problems()]).toEqual([[told], [told]]);
  });

  test("gives a script that hung another chance, but not for ever", async () => {
    const { script } = scripted("export function route({ model }) { if (model === 'hang') for (;;); return 'a/b'; }");
    const hang = () => script.ask({ ...request, model: "hang" }, anyName);
    const ended = { reason: `it took longer than ${callLimitMs} ms and was ended` };
    expect(await hang()).toEqual(ended);
    expect(await script.ask(request, anyName)).toEqual({ answer: "a/b" });
    expect([await hang(), await hang()]).toEqual([ended, ended]);
    const given = { reason: `it took longer than ${callLimitMs} ms, 3 times in a row: it is not asked again` };
    expect(await hang()).toEqual(given);
    const startedAt = performance.now();
    expect(await script.ask(request, anyName)).toMatchObject({ reason: expect.any(String) });
    expect(performance.now() - startedAt).toBeLessThan(callLimitMs / 2);
    write("router.ts", "export const route = () => 'c/d';");
    expect(await script.ask(request, anyName)).toEqual({ answer: "c/d" });
  });

  test("counts a hang once, however many requests waited for it, and asks on for the others", async () => {
    const { script, lines } = scripted(
      "export function route({ model }) { if (model === 'hang') for (;;); return 'a/b'; }",
    );
    const all = await Promise.all(Array.from({ length: 5 }, () => script.ask({ ...request, model: "hang" }, anyName)));
    expect(all.every((answer) => answer.answer === undefined)).toBe(true);
    expect(await script.ask(request, anyName)).toEqual({ answer: "a/b" });
    expect(lines.length).toBe(1);
  });

  test("says nothing of a request that was under way when the config changed", async () => {
    const { script, lines } = scripted("export const route = () => new Promise(() => {});");
    const asked = script.ask(request, anyName);
    await Bun.sleep(50);
    write("other.ts", "export const route = () => 'a/b';");
    script.configure(parseConfig({ routes: { custom: "./other.ts" } }, "c.json"), folder);
    expect(await asked).toEqual({ reason: "the script was begun anew meanwhile" });
    expect(await script.ask(request, anyName)).toEqual({ answer: "a/b" });
    expect([lines, script.problems()]).toEqual([[], []]);
  });

  test("reads a changed file again, and forgets what was wrong with the old one", async () => {
    const { script, lines } = scripted("export const route = () => 'a/b';");
    expect(await script.ask(request, anyName)).toEqual({ answer: "a/b" });
    write("router.ts", "export const route = () => { throw new Error('new fault'); };");
    expect(await script.ask(request, anyName)).toEqual({ reason: "it threw: new fault" });
    write("router.ts", "export const route = () => 'c/d';");
    expect(await script.ask(request, anyName)).toEqual({ answer: "c/d" });
    expect(script.problems()).toEqual([]);
    rmSync(join(folder, "router.ts"));
    expect(await script.ask(request, anyName)).toMatchObject({ reason: expect.stringContaining("there is no file") });
    expect(lines.length).toBe(2);
  });

  test("passes over an answer that leads nowhere", async () => {
    const { script, lines } = scripted("export const route = () => 'opnai:x';");
    expect(await script.ask(request, (name) => `route() names ${name}`)).toEqual({ reason: "route() names opnai:x" });
    expect(lines.length).toBe(1);
  });

  test("answers many at once, each with its own", async () => {
    const { script } = scripted("export const route = async ({ model }) => { await Bun.sleep(5); return model; };");
    const models = Array.from({ length: 50 }, (_, at) => `v/m${at}`);
    const answers = await Promise.all(models.map((model) => script.ask({ ...request, model }, anyName)));
    expect(answers).toEqual(models.map((answer) => ({ answer })));
  });

  test("says what is wrong with a path before any request", () => {
    const lines: string[] = [];
    const script = new CustomRoute({ log: (line) => lines.push(line) });
    open.push(script);
    script.configure(parseConfig({ routes: { custom: "../evil.ts" } }, "c.json"), folder);
    expect(lines).toEqual([
      `routes.custom ../evil.ts: it leaves the config's folder ${folder}; requests go on by the next rule`,
    ]);
  });
});

describe("locateScript()", () => {
  writeFileSync(join(root, "evil.ts"), "export const route = () => 'x/y';");
  symlinkSync(join(root, "evil.ts"), join(folder, "link.ts"));
  writeFileSync(join(folder, "sub/ok.mts"), "");
  writeFileSync(join(folder, "shared.ts"), "");
  chmodSync(join(folder, "shared.ts"), 0o666);
  mkdirSync(join(folder, "folder.ts"), { recursive: true });
  const rows: [path: string, problem: string | undefined][] = [
    ["./sub/ok.mts", undefined],
    ["sub/../sub/ok.mts", undefined],
    ["../evil.ts", `it leaves the config's folder ${folder}`],
    ["../config-other/evil.ts", `it leaves the config's folder ${folder}`],
    [join(folder, "sub/ok.mts"), "give it relative to the config's folder"],
    ["./link.ts", `it is a link out of the config's folder ${folder}`],
    ["./none.ts", `there is no file ${folder}/none.ts`],
    ["./router.py", "its name must end in one of .ts .mts .js .mjs"],
    ["./folder.ts", "it is no file"],
    ["./shared.ts", `everybody may write to it: chmod o-w ${folder}/shared.ts`],
  ];
  test.each(rows)("of %s: %p", (path, problem) => {
    expect(locateScript(path, folder)).toEqual(problem === undefined ? { file: join(folder, path) } : { problem });
  });
});

test("configForScript() shows no key, header, address or environment", () => {
  const config = parseConfig(
    {
      providers: {
        mine: {
          base_url: "http://user:pw@h/v1",
          api_key: "sk-secret",
          headers: { a: "h-secret" },
          api_keys: ["k-secret"],
        },
      },
      launcher: { profiles: { "0": { env: { TOKEN: "e-secret" } } } },
      mappings: { a: "BIG" },
    },
    "c.json",
  );
  const shown = JSON.stringify(configForScript(config));
  expect(shown).not.toMatch(/secret|pw@/);
  expect(JSON.parse(shown)).toMatchObject({
    providers: ["mine"],
    mappings: { a: "BIG" },
    default_provider: "openrouter",
  });
});
