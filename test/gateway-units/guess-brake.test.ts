import { describe, expect, test } from "bun:test";
import { freeFailures, GuessBrake, longestWaitMs, maxAddresses, networkOf } from "../../src/gateway/guess-brake.ts";

function setUp() {
  const clock = { now: 1_000_000 };
  const lines: string[] = [];
  return {
    clock,
    lines,
    brake: new GuessBrake(
      () => clock.now,
      (line) => lines.push(line),
    ),
  };
}

const stranger = "203.0.113.7";

describe("GuessBrake", () => {
  test("lets some wrong keys pass, then has each wait twice as long as the one before, up to a minute", () => {
    const { brake, clock, lines } = setUp();
    const waits = Array.from({ length: 20 }, () => {
      const waitMs = brake.failed(stranger);
      expect(brake.waitMs(stranger)).toBe(waitMs);
      clock.now += waitMs;
      expect(brake.waitMs(stranger)).toBe(0);
      return waitMs;
    });
    const free = Array<number>(freeFailures - 1).fill(0);
    const slow = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, ...Array<number>(5).fill(longestWaitMs)];
    expect(waits).toEqual([...free, ...slow]);
    expect(lines).toEqual([`${stranger} has sent ${freeFailures} wrong keys: it has to wait between them`]);
  });

  test("counts each address by itself, and forgets after ten minutes", () => {
    const { brake, clock } = setUp();
    for (let at = 0; at < 15; at++) brake.failed(stranger);
    expect(brake.waitMs(stranger)).toBeGreaterThan(0);
    expect(brake.waitMs("203.0.113.8")).toBe(0);
    clock.now += 10 * 60_000 + 1;
    expect(brake.failed(stranger)).toBe(0);
  });

  test("a clock that goes back locks nobody out for longer", () => {
    const { brake, clock } = setUp();
    for (let at = 0; at < 15; at++) brake.failed(stranger);
    clock.now -= 3_600_000;
    expect(brake.failed(stranger)).toBe(0);
    expect(brake.waitMs(stranger)).toBe(0);
  });

  test("an address that works goes on with the keys it has shown, and this machine with any", () => {
    const { brake } = setUp();
    brake.succeeded(stranger, "key one");
    expect(brake.isExempt(stranger, "key one")).toBe(true);
    expect(brake.isExempt(stranger, "key two")).toBe(false);
    expect(brake.isExempt("203.0.113.8", "key one")).toBe(false);
    for (const here of ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"]) {
      expect([here, brake.isExempt(here, "any")]).toEqual([here, true]);
    }
  });

  test("remembers no more addresses than it should, the last of them", () => {
    const { brake } = setUp();
    const addressOf = (at: number) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`;
    for (let round = 0; round < 15; round++) brake.failed(stranger);
    for (let at = 0; at < maxAddresses * 3; at++) {
      brake.failed(addressOf(at));
      brake.succeeded(addressOf(at), "key");
      if (at % 1000 === 0) brake.failed(stranger);
    }
    expect(brake.size).toBe(maxAddresses);
    // Whoever goes on is not forgotten for the crowd that it brings along.
    expect(brake.waitMs(stranger)).toBeGreaterThan(0);
  });

  test.each([
    ["203.0.113.7", "203.0.113.7"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::9", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["unknown", "unknown"],
  ])("%s is counted as %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
