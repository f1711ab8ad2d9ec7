/** Keeps calls to this machine away from the user's HTTP proxy, which would see their bodies and keys. */

import type { Env } from "./config/paths.ts";

const loopbackHosts = ["127.0.0.1", "localhost", "::1"];

/** The proxy exceptions of this environment with loopback added, in both spellings that programs read. */
export function exemptLoopback(env: Env): { NO_PROXY: string; no_proxy: string } {
  const named = `${env["NO_PROXY"] ?? ""},${env["no_proxy"] ?? ""}`.split(",").map((host) => host.trim());
  const hosts = [...new Set([...named, ...loopbackHosts])].filter((host) => host !== "").join(",");
  return { NO_PROXY: hosts, no_proxy: hosts };
}

/** A call to this machine. Bun reads the proxy variables when a fetch is made; what is inherited from us must stay as the user has it. */
export function fetchDirectly(url: string, init: RequestInit): Promise<Response> {
  const { NO_PROXY, no_proxy } = process.env;
  Object.assign(process.env, exemptLoopback(process.env));
  const response = fetch(url, init);
  for (const [name, value] of Object.entries({ NO_PROXY, no_proxy })) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  return response;
}
