import { expect, test } from "bun:test";
import { describePortHolder } from "../../src/lifecycle/port-holder.ts";

function listen(hostname: string) {
  const server = Bun.listen({ hostname, port: 0, socket: { data() {} } });
  return { port: server.port, [Symbol.dispose]: () => server.stop(true) };
}

const self = expect.stringMatching(new RegExp(`^\\S+ \\(pid ${process.pid}\\)$`));

test("names who listens, by either protocol, and several at once", async () => {
  using four = listen("127.0.0.1");
  using six = listen("::1");
  using all = listen("::");
  expect(await Promise.all([four, six, all].map(({ port }) => describePortHolder(port)))).toEqual([self, self, self]);
});

test("names one that has begun to listen since the last look, and nobody where nobody does", async () => {
  using first = listen("127.0.0.1");
  expect(await describePortHolder(first.port)).toEqual(self);
  using second = listen("127.0.0.1");
  expect(await describePortHolder(second.port)).toEqual(self);
  const gone = listen("127.0.0.1");
  gone[Symbol.dispose]();
  expect(await describePortHolder(gone.port)).toBe("another process (of another user, or gone by now)");
});

test("names another process", async () => {
  const program = 'console.log(Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }).port)';
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
  try {
    const { value } = await child.stdout.getReader().read();
    const holder = await describePortHolder(Number(new TextDecoder().decode(value)));
    expect(holder).toEndWith(`(pid ${child.pid})`);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});
