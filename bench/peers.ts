/** Another gateway of this kind from npm, for scale. Installed on demand into the bench's own folder, pinned. */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ClutchError } from "../src/errors.ts";
import { buildFolder, type TargetSpec } from "./harness.ts";

const portkeyVersion = "1.15.2";
/**
 * Portkey leaves this open, and from 1.19 on a fresh install answers every streaming request with 500
 * ("TypeError: immutable"); 1.13.8 is the last that was seen to work with 1.15.2.
 */
const nodeServerVersion = "1.13.8";

/**
 * Portkey's gateway. It cannot translate Messages to a Chat upstream, so its `translate` route is the nearest work it
 * does: Chat in, Messages upstream.
 *
 * @param upstreamUrl the mock's base URL, without a path
 * @throws {ClutchError} when node or npm is missing, or the registry is not reached
 */
export function portkeyTarget(upstreamUrl: string, runFolder: string): TargetSpec {
  const node = Bun.which("node");
  if (node === null) {
    throw new ClutchError("failed", "node is not on the PATH and Portkey runs on it", {
      hint: "install Node 20 or newer, or run without --peers",
    });
  }
  const folder = install();
  const script = join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js");
  const route = (provider: string) => ({
    path: "/v1/chat/completions",
    dialect: "chat" as const,
    model: "mock-model",
    headers: {
      authorization: "Bearer bench",
      "x-portkey-provider": provider,
      "x-portkey-custom-host": `${upstreamUrl}/v1`,
    },
  });
  return {
    name: "portkey",
    launch: (port) => ({ argv: [node, script, "--headless", `--port=${port}`], cwd: folder, env: { HOME: runFolder } }),
    healthPath: "/",
    routes: { same: route("openai"), translate: route("anthropic") },
  };
}

function install(): string {
  const folder = join(buildFolder, `portkey-${portkeyVersion}`);
  if (existsSync(join(folder, "installed"))) return folder;
  mkdirSync(folder, { recursive: true });
  const manifest = {
    private: true,
    dependencies: { "@portkey-ai/gateway": portkeyVersion },
    overrides: { "@hono/node-server": nodeServerVersion },
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
  const argv = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev"];
  const result =
    Bun.which("npm") === null ? undefined : Bun.spawnSync(argv, { cwd: folder, stderr: "pipe", stdout: "pipe" });
  if (result?.exitCode !== 0) {
    const reason = result === undefined ? "npm is not on the PATH" : result.stderr.toString().trim().split("\n")[0];
    throw new ClutchError("failed", `cannot install @portkey-ai/gateway ${portkeyVersion}: ${reason}`, {
      hint: "check that the npm registry is reached, or run without --peers",
    });
  }
  writeFileSync(join(folder, "installed"), "");
  return folder;
}
