import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launchNotePath, readLaunchNote } from "../../src/lifecycle/launch-notes.ts";

const state = mkdtempSync(join(tmpdir(), "clutch-notes-"));
afterAll(() => rmSync(state, { recursive: true }));

const note = { folder: "/home/me/shop", agent: "c", code: "cip", session: null, started_at: 5 };

function leave(day: string, id: string, content: string): void {
  const folder = join(state, "launch", day);
  mkdirSync(folder, { recursive: true });
  writeFileSync(launchNotePath(folder, id), content);
}

leave("2026-11-18", "older123", JSON.stringify(note));
leave("2026-11-20", "newer123", JSON.stringify({ ...note, session: "s" }));
leave("2026-11-20", "cutshort", '{"folder": "/ho');
leave("2026-11-20", "nonsense", '{"folder": 5}');
writeFileSync(join(state, "launch", "a-file"), "");
writeFileSync(join(state, "secret-launch.json"), JSON.stringify(note));

test.each([
  ["older123", note],
  ["newer123", { ...note, session: "s" }],
  ["cutshort", undefined],
  ["nonsense", undefined],
  ["neverwas", undefined],
  ["../../secret", undefined],
  ["", undefined],
])("the note of launch %p", (id, expected) => {
  expect(readLaunchNote(state, id)).toEqual(expected);
});

test("nothing where nothing was ever launched", () => {
  expect(readLaunchNote(join(state, "none"), "newer123")).toBeUndefined();
});
