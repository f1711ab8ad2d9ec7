import { describe, expect, test } from "bun:test";
import { Gate } from "../../src/gateway/gate.ts";
import { GuessBrake } from "../../src/gateway/guess-brake.ts";
import { Keyring } from "../../src/gateway/keyring.ts";
import { recognise } from "../../src/gateway/recognise.ts";

const stranger = "203.0.113.7";

async function setUp(requireKey = true) {
  const clock = { now: Date.UTC(2026, 10, 20) };
  const file = { secret: "s3cret" as string | undefined };
  const now = () => clock.now;
  const keyring = new Keyring({
    queries: { load: async () => [], save: async () => {}, noteUses: async () => {} },
    now,
  });
  const gate = new Gate({
    requireKey,
    keyring,
    brake: new GuessBrake(now, () => {}),
    launchSecret: () => "s3cret",
    freshLaunchSecret: () => file.secret,
  });
  const says = (headers: Record<string, string>, address = stranger) => {
    const admission = gate.admit(recognise(new Headers(headers)), () => address);
    return admission.ok ? (admission.grant?.name ?? "in") : `${admission.error.kind}: ${admission.error.message}`;
  };
  return { clock, file, keyring, gate, says };
}

const bearer = (key: string, more: Record<string, string> = {}) => ({ authorization: `Bearer ${key}`, ...more });

describe("Gate, where a key is required", () => {
  test("lets in launches of this user and keys of its own, however they are shown", async () => {
    const { keyring, says, file } = await setUp();
    const { text } = await keyring.create({ name: "laptop" });
    const cases: [headers: Record<string, string>, says: string][] = [
      [bearer("xx-cip-k3j9-s3cret"), "in"],
      [bearer("sk-ant-own", { "x-clutch-launch": "xx-cib-k3j9-s3cret" }), "in"],
      [bearer(text), "laptop"],
      [{ authorization: `bearer   ${text}` }, "laptop"],
      [{ "x-api-key": text }, "laptop"],
      // A launcher on another machine, whose launch.key is a key of this gateway.
      [bearer(`xx-cip-k3j9-${text}`), "laptop"],
      [bearer("sk-ant-own", { "x-clutch-launch": `xx-cib-k3j9-${text}` }), "laptop"],
      [bearer(text, { "x-clutch-launch": "xx-cip-k3j9" }), "laptop"],
    ];
    for (const [headers, expected] of cases) expect([headers, says(headers)]).toEqual([headers, expected]);
    file.secret = "made a moment ago";
    expect(says(bearer("xx-cip-k3j9-made_a_moment_ago"))).toContain("authentication");
    file.secret = "another";
    expect(says(bearer("xx-cip-k3j9-another"))).toBe("in");
  });

  test("says what is wrong with any other", async () => {
    const { keyring, says, clock } = await setUp();
    const { text, key } = await keyring.create({ name: "laptop", expiresAt: clock.now + 1000 });
    const gone = await keyring.create({ name: "gone" });
    await keyring.revoke("gone");
    const foreign = "does not know that key: start the agent with xx, or make a key with clutch keys create";
    const cases: [headers: Record<string, string>, says: string][] = [
      [{}, "authentication: this gateway requires a key: start the agent with xx, or hand it one"],
      [{ authorization: "Bearer " }, "authentication: this gateway requires a key"],
      [bearer("s3cret"), foreign],
      [bearer("xx-cip-k3j9"), "authentication: this launch has no key, and this gateway requires one"],
      [bearer("xx-cip-k3j9-wrong"), foreign],
      [bearer("xx-zzz-k3j9-s3cret"), foreign],
      [bearer("sk-or-v1-1"), "this gateway requires a key of its own, and this is a provider's"],
      [bearer(`${text.slice(0, 20)} ${text.slice(20)}`), "authentication: the key has spaces or line breaks in it"],
    ];
    for (const [headers, expected] of cases) expect(says(headers)).toContain(expected);
    expect(says(bearer(text.slice(0, -3)), "10.0.0.1")).toContain(
      "it was not copied whole, or another gateway made it",
    );
    const revoked = `authentication: the key gone (${gone.key.id}) was revoked at 2026-11-20T00:00:00.000Z`;
    expect(says(bearer(gone.text), "10.0.0.1")).toContain(revoked);
    clock.now += 1000;
    const expired = `authentication: the key laptop (${key.id}) expired at 2026-11-20T00:00:01.000Z`;
    expect(says(bearer(text), "10.0.0.1")).toContain(expired);
  });

  test("a key for some agents is for no other", async () => {
    const { keyring, says } = await setUp();
    const { text, key } = await keyring.create({ name: "laptop", agents: ["c", "x"] });
    expect(says(bearer(text, { "user-agent": "claude-cli/2.1" }))).toBe("laptop");
    expect(says(bearer(`xx-xip-k3j9-${text}`))).toBe("laptop");
    const only = `permission: the key laptop (${key.id}) is for Claude Code, Codex, and this request is from`;
    expect(says(bearer(text, { "user-agent": "QwenCode/0.2" }))).toBe(`${only} Qwen Code`);
    expect(says(bearer(text))).toBe(`${only} an agent that this gateway does not recognise`);
  });

  test("whoever tries keys has to wait, right ones included, and nobody else has to", async () => {
    const { keyring, says, clock } = await setUp();
    const { text } = await keyring.create({ name: "laptop" });
    expect(says(bearer(text), "198.51.100.1")).toBe("laptop");
    const wrong = (at: number) => bearer(`clutch-22222222-${String(at).padStart(43, "a")}`);
    for (const address of [stranger, "198.51.100.1", "127.0.0.1"]) {
      for (let at = 0; at < 10; at++) expect(says(wrong(at), address)).toContain("authentication");
      expect(says(wrong(10), address)).toContain(
        "rate-limit: too many wrong keys came from this address: try again in 1 s",
      );
    }
    // Not looked at: nobody learns by it whether the last guess was the right one.
    expect(says(bearer(text))).toContain("rate-limit");
    expect(says(bearer("xx-cip-k3j9-s3cret"))).toContain("rate-limit");
    // It had come in before; and on this machine all agents have one address.
    expect(says(bearer(text), "198.51.100.1")).toBe("laptop");
    expect(says(bearer(text), "127.0.0.1")).toBe("laptop");
    expect(says(bearer("xx-cip-k3j9-s3cret"), "127.0.0.1")).toBe("in");
    expect(says(bearer(text), "203.0.113.99")).toBe("laptop");
    clock.now += 1000;
    expect(says(bearer(text))).toBe("laptop");
  });

  test("no key, an old key and a key for others are no guesses", async () => {
    const { keyring, says } = await setUp();
    const { text } = await keyring.create({ name: "laptop", agents: ["c"] });
    await keyring.create({ name: "gone" }).then(({ text: old }) =>
      keyring.revoke("gone").then(() => {
        for (let at = 0; at < 30; at++) for (const key of [text, old, "xx-cip-k3j9", ""]) says(bearer(key));
      }),
    );
    expect(says(bearer(text, { "user-agent": "claude-cli/2.1" }))).toBe("laptop");
  });

  test("/admin opens to the launch secret alone", async () => {
    const { keyring, gate } = await setUp();
    const { text } = await keyring.create({ name: "laptop" });
    const isIn = (headers: Record<string, string>) =>
      gate.admitAdmin(recognise(new Headers(headers)), () => "127.0.0.1").ok;
    expect([bearer("s3cret"), bearer("xx-cip-k3j9-s3cret")].map(isIn)).toEqual([true, true]);
    expect([{}, bearer(text), bearer("wrong"), bearer("")].map(isIn)).toEqual([false, false, false, false]);
  });
});

describe("Gate, where no key is required", () => {
  test("lets everybody in, and holds a key of ours to its word all the same", async () => {
    const { keyring, says, clock } = await setUp(false);
    const { text } = await keyring.create({ name: "laptop", agents: ["c"], expiresAt: clock.now + 1000 });
    const anybody: Record<string, string>[] = [{}, bearer("anything"), bearer("xx-cip-k3j9"), { "x-api-key": "sk-1" }];
    for (const headers of anybody) {
      expect(says(headers)).toBe("in");
    }
    expect(says(bearer(text, { "user-agent": "claude-cli/2.1" }))).toBe("laptop");
    expect(says(bearer(text, { "user-agent": "codex/1" }))).toContain("permission");
    expect(says(bearer(`clutch-22222222-${"a".repeat(43)}`))).toContain("authentication");
    clock.now += 1000;
    expect(says(bearer(text))).toContain("expired");
  });
});
