/**
 * Stores made by hand in the shapes that Claude Code 2.1.328, Codex 0.169.0, Qwen Code 0.24.4, Pi 0.87.1, OpenCode 1.18.33
 * and Hermes 0.19.0 left behind, cut down to the fields that are read and those around them.
 */

import { Database } from "bun:sqlite";
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { listSessions } from "../../launcher/sessions.ts";
import type { AgentLetter } from "../../src/launch-code.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "clutch-sessions-")));
const home = join(root, "home");
const project = join(root, "pro ject.a_b-ü");
const other = join(root, "other");
const env = { HOME: home };

/** As agents name folders: Claude Code and Qwen Code, and Pi. */
const dashes = (path: string) => path.replace(/[^a-zA-Z0-9]/g, "-");
const piDashes = (path: string) => `--${path.slice(1).replaceAll("/", "-")}--`;

beforeEach(() => {
  for (const folder of [home, project, other]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

const id = (n: number) => `0000000${n}-aaaa-4bbb-8ccc-1234567890ab`;

function write(path: string, lines: readonly (object | string)[], minute: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""));
  utimesSync(path, minute * 60, minute * 60);
}

const at = (minute: number) => minute * 60_000;

function writeClaude(
  n: number,
  cwd: string,
  minute: number,
  more: readonly (object | string)[] = [],
  base = home,
): void {
  const lines = [
    { type: "mode", mode: "normal", sessionId: id(n) },
    { type: "user", isMeta: true, message: { role: "user", content: "Caveat: written by the program" }, cwd },
    { type: "user", message: { role: "user", content: "<command-name>/clear</command-name>" }, cwd },
    { type: "user", message: { role: "user", content: `prompt ${n}` }, cwd, sessionId: id(n), version: "2.1.328" },
    { type: "assistant", message: { role: "assistant", content: [{ type: "text", text: "Hello." }] }, cwd },
    ...more,
  ];
  const folder = base === home ? `${home}/.claude` : base;
  write(`${folder}/projects/${dashes(cwd)}/${id(n)}.jsonl`, lines, minute);
}

function writeCodex(
  n: number,
  cwd: string,
  minute: number,
  meta: object = {},
  day = "2026/11/20",
  base = ".codex",
): void {
  const instructions = { text: "You are a coding agent. ".repeat(900) };
  const prompt = [{ type: "text", text: `prompt ${n}` }];
  const lines = [
    {
      timestamp: "2026-11-20T10:00:17.751Z",
      type: "session_meta",
      payload: { id: id(n), cwd, source: "cli", thread_source: "user", ...meta, base_instructions: instructions },
    },
    { type: "response_item", payload: { type: "message", role: "user", content: [{ text: "<environment_context>" }] } },
    { type: "event_msg", payload: { type: "item_completed", item: { type: "UserMessage", content: prompt } } },
  ];
  const name = `rollout-${day.replaceAll("/", "-")}T10-00-17-${id(n)}.jsonl`;
  write(`${home}/${base}/sessions/${day}/${name}`, lines, minute);
}

function writeQwen(n: number, cwd: string, minute: number, more: readonly object[] = [], base = ".qwen"): void {
  const common = { sessionId: id(n), cwd, version: "0.24.4" };
  const lines = [
    { ...common, type: "user", provenance: "real_user", message: { role: "user", parts: [{ text: `prompt ${n}` }] } },
    { ...common, type: "assistant", message: { role: "model", parts: [{ text: "Hello." }] } },
    ...more,
  ];
  write(`${home}/${base}/projects/${dashes(cwd)}/chats/${id(n)}.jsonl`, lines, minute);
}

function writePi(n: number, cwd: string, minute: number, more: readonly object[] = [], folder?: string): void {
  const lines = [
    { type: "session", version: 3, id: id(n), timestamp: "2026-11-20T10:00:23.351Z", cwd },
    { type: "message", message: { role: "system", content: "", sections: { preamble: "You are." } } },
    { type: "message", message: { role: "user", content: [{ type: "text", text: `prompt ${n}` }] } },
    ...more,
  ];
  const place = folder ?? `${home}/.pi/agent/sessions/${piDashes(cwd)}`;
  write(`${place}/2026-11-20T10-00-23-351Z_${id(n)}.jsonl`, lines, minute);
}

function opencodeDatabase(path = `${home}/.local/share/opencode/opencode.db`): Database {
  mkdirSync(dirname(path), { recursive: true });
  const database = new Database(path);
  database.run(
    "CREATE TABLE session (id text PRIMARY KEY, project_id text NOT NULL, parent_id text, directory text NOT NULL, " +
      "title text NOT NULL, time_created integer NOT NULL, time_updated integer NOT NULL, time_archived integer)",
  );
  return database;
}

function writeOpencode(database: Database, n: number, directory: string, minute: number, parent?: number): void {
  database
    .query("INSERT INTO session VALUES (?, 'global', ?, ?, ?, 1, ?, NULL)")
    .run(id(n), parent === undefined ? null : id(parent), directory, `title ${n}`, at(minute));
}

function hermesDatabase(path = `${home}/.hermes/state.db`): Database {
  mkdirSync(dirname(path), { recursive: true });
  const database = new Database(path);
  database.run(
    "CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT NOT NULL, model_config TEXT, parent_session_id TEXT, " +
      "started_at REAL NOT NULL, end_reason TEXT, message_count INTEGER DEFAULT 0, cwd TEXT, title TEXT, " +
      "archived INTEGER NOT NULL DEFAULT 0)",
  );
  database.run(
    "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, role TEXT NOT NULL, " +
      "content TEXT, timestamp REAL NOT NULL)",
  );
  return database;
}

function writeHermes(
  database: Database,
  n: number,
  cwd: string,
  minute: number,
  extra: Record<string, string> = {},
): void {
  database
    .query(
      "INSERT INTO sessions (id, source, model_config, started_at, end_reason, message_count, cwd, title) " +
        "VALUES (?, 'cli', ?, 1, ?, 2, ?, ?)",
    )
    .run(id(n), extra["config"] ?? "{}", extra["ended"] ?? null, cwd, extra["title"] ?? null);
  const say = database.query("INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)");
  say.run(id(n), "user", `prompt ${n}`, minute * 60 - 5);
  say.run(id(n), "assistant", "Hello.", minute * 60);
}

/** Sessions 1 and 3 of the project, 2 of another folder; 3 is the newest. */
const fill: Record<Exclude<AgentLetter, "a" | "g">, () => void> = {
  c: () => {
    writeClaude(1, project, 1);
    writeClaude(3, project, 3);
    writeClaude(2, other, 2);
  },
  x: () => {
    writeCodex(1, project, 1);
    writeCodex(3, project, 3, {}, "2026/10/01");
    writeCodex(2, other, 2);
  },
  q: () => {
    writeQwen(1, project, 1);
    writeQwen(3, project, 3);
    writeQwen(2, other, 2);
  },
  p: () => {
    writePi(1, project, 1);
    writePi(3, project, 3);
    writePi(2, other, 2);
  },
  o: () => {
    const database = opencodeDatabase();
    writeOpencode(database, 1, project, 1);
    writeOpencode(database, 2, other, 2);
    writeOpencode(database, 3, project, 3);
    database.close();
  },
  h: () => {
    const database = hermesDatabase();
    writeHermes(database, 1, project, 1);
    writeHermes(database, 2, other, 2);
    writeHermes(database, 3, project, 3);
    database.close();
  },
};

const letters = Object.keys(fill) as (keyof typeof fill)[];

describe("listSessions() gives", () => {
  test.each(letters)("the sessions of this folder alone, newest first: %s", async (letter) => {
    fill[letter]();
    const word = letter === "o" ? "title" : "prompt";
    expect(await listSessions(letter, project, env)).toEqual([
      { id: id(3), updatedAtMs: at(3), title: `${word} 3` },
      { id: id(1), updatedAtMs: at(1), title: `${word} 1` },
    ]);
    expect((await listSessions(letter, other, env)).map((session) => session.id)).toEqual([id(2)]);
    expect(await listSessions(letter, join(project, "sub"), env)).toEqual([]);
  });

  test.each(letters)("them for a symbolic link to the folder too: %s", async (letter) => {
    fill[letter]();
    const link = join(root, "link");
    symlinkSync(project, link);
    const found = await listSessions(letter, link, env);
    rmSync(link);
    expect(found.map((session) => session.id)).toEqual([id(3), id(1)]);
  });

  test.each(letters)("nothing where there is no store, and makes none: %s", async (letter) => {
    expect(await listSessions(letter, project, env)).toEqual([]);
    expect(await listSessions(letter, project, {})).toEqual([]);
    expect(readdirSync(home)).toEqual([]);
  });

  test("nothing for the agents whose stores are unknown", async () => {
    expect(await listSessions("a", project, env)).toEqual([]);
    expect(await listSessions("g", project, env)).toEqual([]);
  });

  test("at most twenty", async () => {
    for (let n = 0; n < 25; n++) {
      const name = `${String(n).padStart(8, "0")}-aaaa-4bbb-8ccc-1234567890ab`;
      write(`${home}/.claude/projects/${dashes(project)}/${name}.jsonl`, [{ type: "user", cwd: project }], n + 1);
    }
    const found = await listSessions("c", project, env);
    expect(found.length).toBe(20);
    expect(found[0]?.updatedAtMs).toBe(at(25));
  });

  const elsewhere = join(root, "home/elsewhere");
  test.each<[AgentLetter, Record<string, string>, () => void]>([
    ["c", { CLAUDE_CONFIG_DIR: elsewhere }, () => writeClaude(1, project, 1, [], elsewhere)],
    ["x", { CODEX_HOME: elsewhere }, () => writeCodex(1, project, 1, {}, "2026/11/20", "elsewhere")],
    ["q", { QWEN_HOME: elsewhere }, () => writeQwen(1, project, 1, [], "elsewhere")],
    ["q", { QWEN_RUNTIME_DIR: elsewhere, QWEN_HOME: "/none" }, () => writeQwen(1, project, 1, [], "elsewhere")],
    [
      "p",
      { PI_CODING_AGENT_DIR: elsewhere },
      () => writePi(1, project, 1, [], `${elsewhere}/sessions/${piDashes(project)}`),
    ],
    ["p", { PI_CODING_AGENT_SESSION_DIR: elsewhere }, () => writePi(1, project, 1, [], elsewhere)],
    [
      "o",
      { XDG_DATA_HOME: elsewhere },
      () => writeOpencode(opencodeDatabase(`${elsewhere}/opencode/opencode.db`), 1, project, 1),
    ],
    [
      "o",
      { OPENCODE_DB: `${elsewhere}/x.db` },
      () => writeOpencode(opencodeDatabase(`${elsewhere}/x.db`), 1, project, 1),
    ],
    ["h", { HERMES_HOME: elsewhere }, () => writeHermes(hermesDatabase(`${elsewhere}/state.db`), 1, project, 1)],
  ])("those of the home that the environment names: %s %j", async (letter, variables, make) => {
    make();
    expect((await listSessions(letter, project, { ...env, ...variables })).map((session) => session.id)).toEqual([
      id(1),
    ]);
    expect(await listSessions(letter, project, env)).toEqual([]);
  });
});

describe("listSessions() leaves out", () => {
  test("a session of another folder with the same slug", async () => {
    writeClaude(1, join(root, "a.b"), 1);
    writeClaude(2, join(root, "a-b"), 2);
    expect((await listSessions("c", join(root, "a.b"), env)).map((session) => session.id)).toEqual([id(1)]);
  });

  test("what sub-agents did", async () => {
    writeCodex(1, project, 1, { thread_source: "subagent" });
    expect(await listSessions("x", project, env)).toEqual([]);
    const opencode = opencodeDatabase();
    writeOpencode(opencode, 1, project, 1);
    writeOpencode(opencode, 2, project, 2, 1);
    expect((await listSessions("o", project, env)).map((session) => session.id)).toEqual([id(1)]);
    const hermes = hermesDatabase();
    writeHermes(hermes, 1, project, 1, { ended: "compression" });
    writeHermes(hermes, 2, project, 2);
    writeHermes(hermes, 3, project, 3, { config: `{"_delegate_from": "${id(2)}"}` });
    expect((await listSessions("h", project, env)).map((session) => session.id)).toEqual([id(2)]);
    for (const database of [opencode, hermes]) database.close();
  });

  test.each(letters)("what is damaged: %s", async (letter) => {
    fill[letter]();
    const files = new Bun.Glob("**/*.{jsonl,db}").scanSync({ cwd: home, dot: true });
    for (const file of files) writeFileSync(join(home, file), "\u0000 no JSON, no SQLite {\n{\n");
    const found = await listSessions(letter, project, env);
    // Where a folder has one of its own, a file's name alone tells that there was a session.
    const untitled = found.map(({ updatedAtMs: _, ...session }) => session);
    expect(untitled.toSorted((one, other) => one.id.localeCompare(other.id))).toEqual(
      letter === "c" || letter === "q" ? [{ id: id(1) }, { id: id(3) }] : [],
    );
  });

  test("a database with other tables, and one that is a folder", async () => {
    mkdirSync(`${home}/.hermes/state.db`, { recursive: true });
    mkdirSync(`${home}/.local/share/opencode`, { recursive: true });
    const database = new Database(`${home}/.local/share/opencode/opencode.db`);
    database.run("CREATE TABLE session (id text)");
    database.close();
    expect(await listSessions("h", project, env)).toEqual([]);
    expect(await listSessions("o", project, env)).toEqual([]);
  });
});

describe("a session's title is", () => {
  const titles = async (letter: AgentLetter) =>
    (await listSessions(letter, project, env)).map((session) => session.title);

  test("the name that the person gave it, even behind megabytes", async () => {
    const filler = Array.from({ length: 40 }, () => ({ type: "assistant", message: { content: "x".repeat(10_000) } }));
    writeClaude(1, project, 1, [
      { type: "custom-title", customTitle: "an old name", sessionId: id(1) },
      ...filler,
      { type: "custom-title", customTitle: "my parser fix", sessionId: id(1) },
      { type: "ai-title", aiTitle: "Fixing a parser", sessionId: id(1) },
    ]);
    expect(await titles("c")).toEqual(["my parser fix"]);
    writeQwen(1, project, 1, [{ type: "system", subtype: "custom_title", systemPayload: { customTitle: "qwen's" } }]);
    expect(await titles("q")).toEqual(["qwen's"]);
    writePi(1, project, 1, [{ type: "session_info", name: "pi's" }]);
    expect(await titles("p")).toEqual(["pi's"]);
    const hermes = hermesDatabase();
    writeHermes(hermes, 1, project, 1, { title: "hermes'" });
    hermes.close();
    expect(await titles("h")).toEqual(["hermes'"]);
  });

  test("the last prompt, where the first lies behind too much", async () => {
    const path = `${home}/.claude/projects/${dashes(project)}/${id(1)}.jsonl`;
    const hook = { type: "attachment", cwd: project, rendered: "x".repeat(300_000) };
    write(path, [hook, { type: "last-prompt", lastPrompt: "and the docs" }], 1);
    expect(await titles("c")).toEqual(["and the docs"]);
  });

  test("one line that no terminal obeys", async () => {
    const text = "first\nsecond \u001b[31mred\u0007\tline";
    write(
      `${home}/.claude/projects/${dashes(project)}/${id(1)}.jsonl`,
      [{ type: "user", cwd: project, message: { role: "user", content: text } }],
      1,
    );
    expect(await titles("c")).toEqual(["first second [31mred line"]);
  });
});

describe("databases are left as they were", () => {
  test("closed ones get no files beside them, open ones show what is not merged yet", async () => {
    const database = hermesDatabase();
    database.run("PRAGMA journal_mode = WAL");
    writeHermes(database, 1, project, 1);
    expect((await listSessions("h", project, env)).map((session) => session.id)).toEqual([id(1)]);
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    for (const name of ["state.db-wal", "state.db-shm"]) rmSync(`${home}/.hermes/${name}`, { force: true });
    expect((await listSessions("h", project, env)).map((session) => session.id)).toEqual([id(1)]);
    expect(readdirSync(`${home}/.hermes`)).toEqual(["state.db"]);
  });
});
