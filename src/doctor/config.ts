/** What a config that can be read still says wrongly. */

import type { Config } from "../config/schema.ts";
import { isLoopback } from "../gateway/guard.ts";
import type { Routing } from "../gateway/router.ts";
import { ruleProblems } from "../gateway/rules-check.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

export interface ConfigSight {
  config: Config;
  /** Undefined when there is none. */
  path: string | undefined;
  /** It is the predecessor's. */
  isLegacy: boolean;
  /** As its reader tells them. */
  notices: readonly string[];
  /** Where the gateway of this config listens, and where launches look for it. */
  urls: { serve: string; launch: string };
  routing: Routing;
}

export function judgeConfig({ config, path, isLegacy, notices, urls, routing }: ConfigSight): Finding[] {
  const { host, require_key: requireKey } = config.server;
  const where = path ?? "no config file: everything has its default";
  const findings = [
    ...ruleProblems(routing).map((line) =>
      line.startsWith("model_tiers.") && line.includes(".default")
        ? fail("config", line, "correct the name, or add that provider")
        : warn("config", line, "correct it in the file"),
    ),
    // Who can read and change it is told where the other files are.
    ...notices.filter((line) => !/: chmod [\w-]+ /.test(line)).map((line) => warn("config", line, "take it out")),
    ...(isLoopback(host) || requireKey
      ? []
      : [
          fail(
            "config",
            `server.host is "${host}", and no key is required: the gateway refuses to start like that`,
            "set server.require_key to true, or listen on 127.0.0.1",
          ),
        ]),
    ...(isSameUrl(urls.serve, urls.launch)
      ? []
      : [
          warn(
            "config",
            `launches look for the gateway at ${urls.launch}, and this config's listens on ${urls.serve}`,
            "make proxy.base_url and server.port agree",
          ),
        ]),
  ];
  const old = isLegacy
    ? [warn("config", `${where} is the predecessor's, read as it is`, "clutch init imports it")]
    : [];
  return findings.length > 0 ? [...old, ...findings] : [...old, ...(old.length > 0 ? [] : [ok("config", where)])];
}

function isSameUrl(one: string, other: string): boolean {
  const plain = (url: string) => url.replace("://localhost", "://127.0.0.1").replace(/\/+$/, "");
  return plain(one) === plain(other);
}
