/** Members that have no process: they are shown, and fail nothing. */

import type { Env } from "../../config/paths.ts";
import { findBinary } from "../../find-binary.ts";
import type { Member } from "./member.ts";
import { observeRtk, toMember } from "./rtk.ts";
import type { Service } from "./services.ts";

export interface PassivePlace {
  env: Env;
  cacheDir: string;
}

/** Passive in every state, off where the config says so. Of RTK all that can be told, of the user's own whether it is there. */
export async function observePassive(service: Service, { env, cacheDir }: PassivePlace): Promise<Member> {
  const { id, enabled, command } = service;
  if (id === "rtk" && enabled) return toMember(service, await observeRtk({ env, home: env["HOME"] ?? "/", cacheDir }));
  const program = command[0] ?? id;
  const isThere = findBinary(program, env) !== undefined;
  return toMember(service, { version: undefined, detail: isThere ? "installed" : "not installed", hint: undefined });
}
