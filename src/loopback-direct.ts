/** Keeps calls to this machine away from the user's HTTP proxy, which would see their bodies and keys. */

const loopbackHosts = ["127.0.0.1", "localhost", "::1", "[::1]"];

/** Bun's fetch reads NO_PROXY at every call, so this must stand before the first one. */
export function keepLoopbackDirect(env: Record<string, string | undefined>): void {
  const named = `${env["NO_PROXY"] ?? ""},${env["no_proxy"] ?? ""}`.split(",").map((host) => host.trim());
  const hosts = [...new Set([...named, ...loopbackHosts])].filter((host) => host !== "").join(",");
  env["NO_PROXY"] = hosts;
  env["no_proxy"] = hosts;
}
