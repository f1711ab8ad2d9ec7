import { describe, expect, test } from "bun:test";
import { renderError } from "../../../src/errors.ts";
import { planStart } from "../../../src/lifecycle/chain/graph.ts";
import { type ChainSettings, listServices, type ServiceConfig } from "../../../src/lifecycle/chain/services.ts";

const settings = (services: ServiceConfig[] = [], more: Partial<ChainSettings> = {}): ChainSettings => ({
  gatewayPort: 8082,
  headroomMode: "front",
  services,
  ...more,
});

const db: ServiceConfig = { id: "db", command: ["my-db", "--quiet"], port: 9000 };

describe("listServices()", () => {
  test("has the four of its own where the config says nothing", () => {
    const rows = listServices(settings()).map(({ id, type, enabled, port, isFront, needs }) => [
      id,
      type,
      enabled,
      port,
      isFront,
      needs,
    ]);
    expect(rows as unknown[]).toEqual([
      ["gateway", "http", true, 8082, false, []],
      ["headroom", "http", true, 8787, true, ["gateway"]],
      ["cliproxyapi", "http", false, 8317, false, []],
      ["rtk", "cli_wrapper", true, undefined, false, []],
    ]);
  });

  test("takes the gateway's port from server.port, and Headroom's place from headroom.mode", () => {
    const shape = (mode: ChainSettings["headroomMode"]) =>
      listServices(settings([], { gatewayPort: 18082, headroomMode: mode }))
        .slice(0, 2)
        .map(({ id, enabled, isFront, port }) => [id, enabled, isFront, port]);
    const gateway = ["gateway", true, false, 18082];
    expect(shape("front") as unknown[]).toEqual([gateway, ["headroom", true, true, 8787]]);
    expect(shape("sidecar") as unknown[]).toEqual([gateway, ["headroom", true, false, 8787]]);
    expect(shape("off") as unknown[]).toEqual([gateway, ["headroom", false, false, 8787]]);
  });

  test("adds the user's own, and changes of a built-in one only what the config says", () => {
    const own = { ...db, needs: ["gateway"], env: { LEVEL: "info" }, ready_seconds: 5 };
    const services = listServices(settings([own, { id: "cliproxyapi", enabled: true, order: -1, port: 9317 }]));
    expect(services.map(({ id }) => id)).toEqual(["cliproxyapi", "gateway", "headroom", "rtk", "db"]);
    expect(services[0]).toMatchObject({ enabled: true, port: 9317, healthPath: "/healthz", name: "CLIProxyAPI" });
    expect(services[4]).toEqual({
      id: "db",
      name: "db",
      type: "http",
      enabled: true,
      order: 10,
      needs: ["gateway"],
      isFront: false,
      command: ["my-db", "--quiet"],
      env: { LEVEL: "info" },
      port: 9000,
      healthPath: "/health",
      readyLimitMs: 5000,
    });
  });

  const faults: [name: string, services: ServiceConfig[], message: RegExp][] = [
    ["twice the same", [db, db], /"db" stands in it twice: merge the two entries/],
    ["no command", [{ id: "db", port: 1 }], /"db" has no command: give one as a list of words/],
    ["no port", [{ id: "db", command: ["x"] }], /"db" has no port: give the one that it listens on/],
    ["another kind", [{ id: "rtk", type: "http" }], /"rtk" is a cli_wrapper, not a http/],
    ["the gateway's port", [{ id: "gateway", port: 99 }], /"gateway" has port 99: the gateway's port is server.port/],
  ];
  test.each(faults)("refuses %s", (_name, services, message) => {
    expect(messageOf(() => listServices(settings(services)))).toMatch(message);
  });
});

describe("planStart()", () => {
  const order = (services: ServiceConfig[], more: Partial<ChainSettings> = {}) =>
    planStart(listServices(settings(services, more))).map(({ id }) => id);

  test("starts what others need before them, whatever the order says, and nothing that is off or has no process", () => {
    expect(order([])).toEqual(["gateway", "headroom"]);
    expect(order([db, { id: "gateway", needs: ["db"] }])).toEqual(["db", "gateway", "headroom"]);
    expect(order([{ ...db, order: -5, needs: ["headroom"] }])).toEqual(["gateway", "headroom", "db"]);
    expect(
      order([
        { ...db, enabled: false },
        { id: "gateway", needs: ["db"] },
      ]),
    ).toEqual(["gateway", "headroom"]);
    expect(order([], { headroomMode: "off" })).toEqual(["gateway"]);
  });

  const faults: [name: string, services: ServiceConfig[], message: RegExp][] = [
    [
      "an unknown need",
      [{ ...db, needs: ["gatway"] }],
      /"db" needs "gatway", which is no service: did you mean "gateway"/,
    ],
    ["itself as a need", [{ ...db, needs: ["db"] }], /a cycle: db needs db/],
    [
      "a cycle, even of what is off",
      [
        { ...db, enabled: false, needs: ["headroom"] },
        { id: "gateway", needs: ["db"] },
      ],
      /a cycle: gateway needs db needs headroom needs gateway/,
    ],
    ["two fronts", [{ ...db, front: true }], /headroom and db are both the front: one alone can be/],
    ["one port twice", [{ ...db, port: 8787 }], /headroom and db both have port 8787/],
  ];
  test.each(faults)("refuses %s", (_name, services, message) => {
    expect(messageOf(() => order(services))).toMatch(message);
  });
});

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return renderError(error);
  }
  return "nothing was refused";
}
