/** Members that have no process: they are shown, and fail nothing. */

import type { Env } from "../../config/paths.ts";
import { findBinary } from "../../find-binary.ts";
import type { Member } from "./member.ts";
import type { Service } from "./services.ts";

export interface PassivePlace {
  env: Env;
  cacheDir: string;
}

/** Passive in every state, off where the config says so. */
export async function observePassive(service: Service, { env }: PassivePlace): Promise<Member> {
  const { id, name, type, enabled, command } = service;
  const program = command[0] ?? id;
  const detail = findBinary(program, env) === undefined ? "not installed" : "installed";
  return {
    id,
    name,
    type,
    state: enabled ? "passive" : "off",
    isFront: false,
    port: undefined,
    version: undefined,
    pid: undefined,
    startedAtMs: undefined,
    restarts: 0,
    detail: enabled ? detail : "switched off in the config",
    hint: undefined,
  };
}
