/** A service as a user might add one to the chain; its flags make it misbehave. `--port N` is all that a good one needs. */

import { writeFileSync } from "node:fs";

const flags = new Map(process.argv.slice(2).map((word) => word.split("=", 2) as [string, string | undefined]));
const number = (name: string) => Number(flags.get(name) ?? 0);

console.log(`fake service ${process.pid} on ${number("--port")}`);
const file = flags.get("--tell-env");
if (file !== undefined) writeFileSync(file, JSON.stringify(process.env));
if (flags.has("--exit")) {
  console.error("\x1b[31mcannot go on: the flux is missing\x1b[0m");
  process.exit(number("--exit"));
}
if (flags.has("--deaf")) for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
else process.on("SIGTERM", () => process.exit(0));
if (flags.has("--chatty")) setInterval(() => console.log(`still here at ${Date.now()}`), number("--chatty") || 100);
await Bun.sleep(number("--after"));
Bun.serve({
  hostname: "127.0.0.1",
  port: number("--port"),
  fetch: () => new Response("{}", { status: flags.has("--never-ready") ? 503 : 200 }),
});
