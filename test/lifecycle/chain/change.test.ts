/** What `clutch chain` makes of a config file: the whole file before, what is asked for, the whole file after. */

import { describe, expect, test } from "bun:test";
import { parseJsonc } from "../../../src/config/jsonc.ts";
import { applyChanges } from "../../../src/config/jsonc-edit.ts";
import { parseConfig } from "../../../src/config/schema.ts";
import { renderError } from "../../../src/errors.ts";
import { type ChainRequest, checkChain, planChainChange } from "../../../src/lifecycle/chain/change.ts";
import { placeAt } from "../../../src/lifecycle/chain/place.ts";
import { listServices, readChainSettings } from "../../../src/lifecycle/chain/services.ts";
import { parseSetting, readCommand } from "../../../src/lifecycle/chain/setting.ts";

const read = (text: string) => parseConfig(text.trim() === "" ? {} : parseJsonc(text, "c"), "c");

function change(before: string, request: ChainRequest) {
  const plan = planChainChange(read(before), request);
  const after = applyChanges(before, plan.changes, "c");
  if (after !== before) checkChain(read(after));
  return { after, ...plan };
}

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return renderError(error);
  }
  return "was done";
}

const enable = (id: string): ChainRequest => ({ kind: "enable", id });
const disable = (id: string): ChainRequest => ({ kind: "disable", id });
const remove = (id: string): ChainRequest => ({ kind: "remove", id });
const set = (id: string, ...assignments: string[]): ChainRequest => ({ kind: "set", id, assignments, unset: [] });
const unset = (id: string, ...names: string[]): ChainRequest => ({ kind: "set", id, assignments: [], unset: names });

const commented = `{
  // what stands around the gateway
  "chain": {
    "services": [
      // the one from work
      { "id": "db", "port": 9000, "command": ["my-db"] }, // slow
      { "id": "cliproxyapi", "enabled": true, "port": 9317, },
    ],
  },
  "headroom": { "mode": "sidecar" /* not front */ },
}
`;

type Row = [name: string, before: string, request: ChainRequest, after: string, summary: string];

const rows: Row[] = [
  [
    "enable makes a file",
    "",
    enable("cliproxyapi"),
    '{\n  "chain": {\n    "services": [\n      { "id": "cliproxyapi", "enabled": true }\n    ]\n  }\n}\n',
    "enabled cliproxyapi",
  ],
  [
    "disable of a service of one's own",
    commented,
    disable("db"),
    commented.replace('"command": ["my-db"] }', '"command": ["my-db"], "enabled": false }'),
    "disabled db",
  ],
  [
    "disable in place",
    commented,
    disable("cliproxyapi"),
    commented.replace('"enabled": true', '"enabled": false'),
    "disabled cliproxyapi",
  ],
  [
    "disable of headroom goes by its mode, which the launcher and the gateway read",
    commented,
    disable("headroom"),
    commented.replace('"sidecar"', '"off"'),
    'disabled headroom: headroom.mode is "off"',
  ],
  [
    "disable of headroom takes an entry along that would keep it on",
    '{\n  "chain": {\n    "services": [\n      { "id": "headroom", "enabled": true }\n    ]\n  }\n}\n',
    disable("headroom"),
    '{\n  "chain": {\n    "services": []\n  },\n  "headroom": {\n    "mode": "off"\n  }\n}\n',
    'disabled headroom: headroom.mode is "off"',
  ],
  [
    "enable of headroom by its mode",
    '{ "headroom": { "mode": "off" } }\n',
    enable("headroom"),
    '{ "headroom": { "mode": "front" } }\n',
    'enabled headroom: headroom.mode is "front"',
  ],
  [
    "enable of headroom that an entry alone keeps off leaves its mode",
    '{\n  "headroom": { "mode": "sidecar" },\n  "chain": { "services": [{ "id": "headroom", "port": 8788, "enabled": false }] }\n}\n',
    enable("headroom"),
    '{\n  "headroom": { "mode": "sidecar" },\n  "chain": { "services": [{ "id": "headroom", "port": 8788 }] }\n}\n',
    'enabled headroom: headroom.mode is "sidecar"',
  ],
  [
    "set of several values at once, behind what is there",
    commented,
    set("db", "port=9001", "env.LEVEL=info", "needs=gateway", "health-path=/up"),
    commented.replace(
      '"port": 9000, "command": ["my-db"] }',
      '"port": 9001, "command": ["my-db"], "env": { "LEVEL": "info" }, "needs": ["gateway"], "health_path": "/up" }',
    ),
    "set port, env.LEVEL, needs, health_path of db",
  ],
  [
    "set of a built-in one makes an entry of what differs",
    '{\r\n\t// mine\r\n\t"fallbacks": []\r\n}\r\n',
    set("headroom", "port=8788", "ready_seconds=60"),
    '{\r\n\t// mine\r\n\t"fallbacks": [],\r\n\t"chain": {\r\n\t\t"services": [\r\n\t\t\t{ "id": "headroom", "port": 8788, "ready_seconds": 60 }\r\n\t\t]\r\n\t}\r\n}\r\n',
    "set port, ready_seconds of headroom",
  ],
  [
    "set of the gateway's port goes where that is",
    "{}",
    set("gateway", "port=9002"),
    '{\n  "server": { "port": 9002 }\n}',
    "set port of gateway",
  ],
  [
    "set of headroom's place goes by its mode",
    '{"headroom":{"mode":"front"}}',
    set("headroom", "front=no"),
    '{"headroom":{"mode":"sidecar"}}',
    "set front of headroom",
  ],
  [
    "set needs=nothing of headroom",
    "{}\n",
    set("headroom", "needs="),
    '{\n  "chain": {\n    "services": [\n      { "id": "headroom", "needs": [] }\n    ]\n  }\n}\n',
    "set needs of headroom",
  ],
  [
    "unset goes back to the default",
    '{ "chain": { "services": [{ "id": "db", "port": 1, "command": ["x"], "env": { "A": "1", "B": "2" }, "order": 3 }] } }',
    unset("db", "env.A", "order"),
    '{ "chain": { "services": [{ "id": "db", "port": 1, "command": ["x"], "env": { "B": "2" } }] } }',
    "set env.A, order of db",
  ],
  [
    "unset of the last difference takes the entry of a built-in one out",
    '{ "chain": { "services": [{ "id": "rtk", "name": "R" }, { "id": "headroom", "port": 1 }] } }',
    unset("rtk", "name"),
    '{ "chain": { "services": [{ "id": "headroom", "port": 1 }] } }',
    "set name of rtk",
  ],
  [
    "add",
    commented,
    { kind: "add", entry: { id: "cache", port: 9100, command: ["/opt/cache", "-v"], needs: ["db"] } },
    commented.replace(
      '"port": 9317, },\n',
      '"port": 9317, },\n      { "id": "cache", "port": 9100, "command": ["/opt/cache", "-v"], "needs": ["db"] },\n',
    ),
    "added cache",
  ],
  [
    "remove, with the comment behind it",
    commented,
    remove("db"),
    commented.replace('      { "id": "db", "port": 9000, "command": ["my-db"] }, // slow\n', ""),
    "removed db",
  ],
  [
    "move changes the one number",
    commented,
    { kind: "move", id: "db", to: { before: "headroom" } },
    commented.replace('"command": ["my-db"] }', '"command": ["my-db"], "order": 1 }'),
    "moved db before headroom",
  ],
  [
    "move to the beginning",
    "{}\n",
    { kind: "move", id: "rtk", to: { position: 1 } },
    '{\n  "chain": {\n    "services": [\n      { "id": "rtk", "order": -1 }\n    ]\n  }\n}\n',
    "moved rtk to position 1",
  ],
];

const same: [name: string, before: string, request: ChainRequest, summary: string][] = [
  ["enable what is on", "", enable("headroom"), "headroom is enabled already"],
  ["disable what is off", "", disable("cliproxyapi"), "cliproxyapi is disabled already"],
  ["disable headroom twice", '{ "headroom": { "mode": "off" } }', disable("headroom"), "headroom is disabled already"],
  [
    "set what is so by default",
    "",
    set("headroom", "port=8787", "needs=gateway"),
    "headroom has this already: port, needs",
  ],
  ["unset what is not set", "", unset("rtk", "name"), "rtk has this already: name"],
  [
    "move what is there",
    "",
    { kind: "move", id: "headroom", to: { after: "gateway" } },
    "headroom after gateway already",
  ],
  [
    "add the same",
    commented,
    { kind: "add", entry: { id: "db", port: 9000, command: ["my-db"] } },
    "db is there already",
  ],
];

const refused: [name: string, before: string, request: ChainRequest, message: RegExp][] = [
  ["an unknown service", "", enable("headrom"), /^there is no service "headrom": did you mean "headroom"\?$/],
  [
    "nothing like it",
    "",
    remove("zzzzzzzz"),
    /^there is no service "zzzzzzzz": known are gateway, headroom, cliproxyapi, rtk$/,
  ],
  ["remove of a built-in one", "", remove("rtk"), /^rtk is a service of Clutch's own.*: clutch chain disable rtk$/],
  ["add of a built-in one", "", { kind: "add", entry: { id: "rtk" } }, /clutch chain enable rtk/],
  [
    "add of another under the same id",
    commented,
    { kind: "add", entry: { id: "db" } },
    /is not the same: change it with/,
  ],
  ["a cycle", commented, set("cliproxyapi", "needs=cliproxyapi"), /a cycle: cliproxyapi needs cliproxyapi/],
  ["a need that is no service", commented, set("db", "needs=gatway"), /"db" needs "gatway".*did you mean "gateway"\?$/],
  ["a port that is taken", commented, set("db", "port=8082"), /gateway and db both have port 8082/],
  ["a second front", "", { kind: "add", entry: { id: "x", port: 1, command: ["x"], front: true } }, /both the front/],
  [
    "headroom on beside another front",
    '{ "headroom": { "mode": "off" }, "chain": { "services": [{ "id": "x", "port": 1, "command": ["x"], "front": true }] } }',
    enable("headroom"),
    /headroom and x are both the front/,
  ],
  [
    "remove of what is needed",
    '{ "chain": { "services": [{ "id": "a", "port": 1, "command": ["a"] }, { "id": "b", "port": 2, "command": ["b"], "needs": ["a"] }] } }',
    remove("a"),
    /"b" needs "a", which is no service/,
  ],
  ["a port taken out of one's own", commented, unset("db", "port"), /"db" has no port/],
  [
    "a place for what is off",
    '{ "headroom": { "mode": "off" } }',
    set("headroom", "front=true"),
    /clutch chain enable headroom$/,
  ],
  ["a move beside itself", "", { kind: "move", id: "rtk", to: { after: "rtk" } }, /cannot stand beside itself/],
  [
    "a position behind the end",
    "",
    { kind: "move", id: "rtk", to: { position: 5 } },
    /no position 5: give one from 1 to 4$/,
  ],
  ["nothing", "", set("rtk"), /^nothing to set: say key=value, with one of name, port/],
];

describe("clutch chain", () => {
  test.each(rows)("%s", (_name, before, request, after, summary) => {
    const done = change(before, request);
    expect(done.after).toBe(after);
    expect(done.summary).toBe(summary);
    // Asked for again, it is so.
    if (request.kind !== "remove") expect(change(after, request).after).toBe(after);
  });

  test.each(same)("does nothing to %s", (_name, before, request, summary) => {
    expect(change(before, request)).toEqual({ after: before, changes: [], summary, notes: [] });
  });

  test.each(refused)("refuses %s", (_name, before, request, message) => {
    expect(refusal(() => change(before, request))).toMatch(message);
  });

  const faulty: [name: string, before: string, request: ChainRequest, after: string][] = [
    [
      "a cycle",
      '{"chain":{"services":[{"id":"headroom","needs":["headroom"]}]}}',
      unset("headroom", "needs"),
      '{"chain":{"services":[]}}',
    ],
    [
      "no port",
      '{"chain":{"services":[{"id":"db","command":["x"]}]}}',
      set("db", "port=1"),
      '{"chain":{"services":[{"id":"db","command":["x"],"port":1}]}}',
    ],
    ["two of one id", '{"chain":{"services":[{"id":"db"},{"id":"db"}]}}', remove("db"), '{"chain":{"services":[]}}'],
  ];
  test.each(faulty)("mends a chain with %s", (_name, before, request, after) => {
    expect(refusal(() => checkChain(read(before)))).toContain("chain.services");
    expect(change(before, request).after).toBe(after);
  });

  const noted: [name: string, before: string, request: ChainRequest, note: RegExp][] = [
    [
      "who goes on without it",
      commented,
      disable("gateway"),
      /^headroom needs gateway, and starts without it\n.*clutch serve/,
    ],
    [
      "what is off behind it",
      '{"headroom":{"mode":"off"},"chain":{"services":[{"id":"db","port":1,"command":["x"],"needs":["headroom"],"enabled":false}]}}',
      enable("db"),
      /^db needs headroom, which is off: it starts without it$/,
    ],
    ["what it is for", "", enable("cliproxyapi"), /some of them forbid$/],
    [
      "a need that goes before order",
      "",
      { kind: "move", id: "headroom", to: { position: 1 } },
      /^headroom needs gateway, and so still starts behind it$/,
    ],
    ["a secret as it is", commented, set("db", "env.API_KEY=abc"), /env\.API_KEY=env:NAME takes it from/],
    ["a secret by name", commented, set("db", "env.API_KEY=env:DB_KEY"), /^$/],
    ["where a value lives", "", set("gateway", "port=9002"), /^the port of gateway is server\.port$/],
  ];
  test.each(noted)("tells %s", (_name, before, request, note) => {
    expect(change(before, request).notes.join("\n")).toMatch(note);
  });
});

describe("placeAt()", () => {
  const rowsOf = (...rows: [id: string, order: number][]) => rows.map(([id, order]) => ({ id, order }));
  const cases: [name: string, ReturnType<typeof rowsOf>, id: string, index: number, changed: Record<string, number>][] =
    [
      ["between two with room", rowsOf(["a", 0], ["b", 10], ["x", 20]), "x", 1, { x: 9 }],
      ["between two of one number, by its id", rowsOf(["a", 1], ["c", 1], ["b", 5]), "b", 1, { b: 1 }],
      ["between two without room", rowsOf(["m", 0], ["n", 0], ["z", 5]), "z", 1, { z: 0, n: 1 }],
      ["before the first", rowsOf(["a", 0], ["b", 1]), "b", 0, { b: -1 }],
      ["behind the last", rowsOf(["a", 0], ["b", 1], ["c", 2]), "a", 2, { a: 3 }],
      ["where it is", rowsOf(["a", 0], ["b", 1]), "a", 0, {}],
      ["alone", rowsOf(["a", 0]), "a", 0, {}],
    ];
  test.each(cases)("%s", (_name, rows, id, index, changed) => {
    expect(Object.fromEntries(placeAt(rows, id, index))).toEqual(changed);
  });

  test("puts it there whatever the others have, and changes no more than one number where one will do", () => {
    const compare = (one: { id: string; order: number }, other: { id: string; order: number }) =>
      one.order - other.order || one.id.localeCompare(other.id);
    let state = 7;
    const random = (limit: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return Math.floor((state / 2 ** 31) * limit);
    };
    for (let round = 0; round < 2000; round++) {
      const rows = ["a", "b", "c", "d", "e"].map((id) => ({ id, order: random(4) })).sort(compare);
      const { id } = rows[random(5)] as { id: string };
      const index = random(5);
      const orders = placeAt(rows, id, index);
      const after = rows.map((row) => ({ ...row, order: orders.get(row.id) ?? row.order })).sort(compare);
      const expected = rows.filter((row) => row.id !== id).map((row) => row.id);
      expected.splice(index, 0, id);
      expect(after.map((row) => row.id)).toEqual(expected);
      const alone = [-1, 0, 1, 2, 3, 4].some((order) => {
        const tried = rows.map((row) => (row.id === id ? { id, order } : row)).sort(compare);
        return Bun.deepEquals(
          tried.map((row) => row.id),
          expected,
        );
      });
      if (alone) expect([...orders.keys()].filter((at) => at !== id)).toEqual([]);
    }
  });
});

describe("parseSetting()", () => {
  const headroom = { id: "headroom" };
  const parsed: [text: string, key: string, value: unknown][] = [
    ["port=9000", "port", 9000],
    ["name=My db", "name", "My db"],
    ["needs=a, b,a", "needs", ["a", "b"]],
    ["front=YES", "front", true],
    ["order=-3", "order", -3],
    ["ready-seconds=1.5", "ready_seconds", 1.5],
    ["env.A_b=x=y", "env.A_b", "x=y"],
    ["env.EMPTY=", "env.EMPTY", ""],
    ["mode=sidecar", "mode", "sidecar"],
    ['command=["a b","c"]', "command", ["a b", "c"]],
  ];
  test.each(parsed)("reads %s", (text, key, value) => {
    expect(parseSetting(text, headroom) as unknown).toEqual({ key, value });
  });

  const refusedSettings: [text: string, message: RegExp][] = [
    ["port", /"port" sets nothing: say port=value/],
    ["port=http", /port is "http": give a number from 1 to 65535/],
    ["port=0", /port is "0"/],
    ["port=65536", /port is "65536"/],
    ["prot=1", /there is no "prot" of a service: did you mean "port"\?/],
    ["enabled=true", /clutch chain enable headroom/],
    ["id=x", /the id of a service stays/],
    ["env.a-b=1", /"a-b" is no name of a variable/],
    ["ready_seconds=5s", /without its unit/],
    ["ready_seconds=0", /0\.1 to 3600/],
    ["health_path=up", /did you mean "\/up"\?/],
    ["order=first", /clutch chain move/],
    ["front=perhaps", /say true or false/],
    ["mode=fornt", /did you mean "front"\?/],
    ["command=", /command is empty/],
    ["command=./server", /"\.\/server": give its absolute path/],
    ["command=~/bin/server", /write the home folder out/],
    ["command=a && b", /has a "&", which is for a shell/],
    ['command="a', /without its other half/],
    ['command=["a", 1]', /is no list of words/],
  ];
  test.each(refusedSettings)("refuses %s", (text, message) => {
    expect(refusal(() => parseSetting(text, headroom))).toMatch(message);
  });

  test("knows the mode of Headroom alone", () => {
    expect(refusal(() => parseSetting("mode=off", { id: "db" }))).toContain('there is no "mode" of a service');
  });
});

describe("readCommand()", () => {
  const commands = [
    "a b  c",
    `a 'b c' "d e"`,
    String.raw`a "b\"c" d\ e`,
    `--x='a b'c"d"`,
    "a '' b",
    String.raw`"a\\b" 'c\d'`,
    "/opt/x --url=http://h:1/p%20q --k=v,w",
  ];
  test.each(commands)("splits %s as sh does", (text) => {
    const run = Bun.spawnSync(["sh", "-c", `printf '%s\\0' ${text}`]);
    expect(readCommand(text)).toEqual(run.stdout.toString().split("\0").slice(0, -1));
  });
});

test("what is made is what the chain then is", () => {
  const { after } = change("", set("cliproxyapi", "command=/opt/own --config /etc/own.yaml", "env.A=1"));
  const [row] = listServices(readChainSettings(read(after))).filter(({ id }) => id === "cliproxyapi");
  expect(row).toMatchObject({ command: ["/opt/own", "--config", "/etc/own.yaml"], env: { A: "1" }, enabled: false });
});
