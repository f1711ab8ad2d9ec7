/**
 * Stands in for Claude Code: asks where it is told to, and misbehaves as FAKE_BEHAVIOUR says. Besides the answer it
 * writes its pid and its folder to FAKE_LOG, so that a test can see that neither outlives the check.
 */

import { appendFileSync } from "node:fs";

const args = process.argv.slice(2);
const { env } = process;

async function run(): Promise<number> {
  if (args.includes("--version")) {
    console.log("9.8.7 (Fake Code)");
    return 0;
  }
  appendFileSync(env["FAKE_LOG"] ?? "/dev/null", `${process.pid} ${process.cwd()}\n`);
  switch (env["FAKE_BEHAVIOUR"]) {
    case "own key":
      return ask(env["ANTHROPIC_BASE_URL"], { "x-api-key": "sk-ant-api03-abcdefghijklmnop" });
    case "vendor":
      return ask("https://api.anthropic.com", {});
    case "this machine":
      return ask("http://127.0.0.1:9", {});
    case "silent":
      console.error("\x1b[31mError: not logged in with sk-ant-api03-abcdefghijklmnop\x1b[0m");
      return 4;
    case "old version":
      if (!args.includes("--no-session-persistence")) break;
      console.error("error: unknown option '--no-session-persistence'");
      return 1;
    case "leaves a child":
      Bun.spawn(["sh", "-c", 'echo "$$ $PWD" >> "$FAKE_LOG"; trap "" TERM; sleep 60 & wait; sleep 60'], {
        stdio: ["ignore", "inherit", "inherit"],
      });
      await Bun.sleep(300);
      break;
    case "hangs":
      process.on("SIGTERM", () => {});
      await Bun.sleep(60_000);
      return 0;
  }
  return ask(env["ANTHROPIC_BASE_URL"], {});
}

async function ask(base: string | undefined, headers: Record<string, string>): Promise<number> {
  try {
    const response = await fetch(`${base}/v1/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${env["ANTHROPIC_AUTH_TOKEN"] ?? ""}`, ...headers },
      body: JSON.stringify({
        model: "claude-opus-5-5",
        max_tokens: 9,
        tools: [{ name: "t", input_schema: { type: "object" } }],
        messages: [{ role: "user", content: args[args.indexOf("-p") + 1] }],
      }),
    });
    const answer = (await response.json()) as { content: { text: string }[] };
    console.log(answer.content[0]?.text);
    return 0;
  } catch {
    console.error("Error: cannot connect");
    return 1;
  }
}

process.exit(await run());
