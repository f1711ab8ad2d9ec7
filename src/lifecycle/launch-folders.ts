/** In which folder a request's agent was started: as the crash guard has noted it, by the launch's id. */

import { listLaunches } from "./launches.ts";

/** Reads the notes once, when the first folder is asked for. */
export function foldersOf(stateDir: string): (request: { launchId?: string | null | undefined }) => string | undefined {
  let folders: Map<string, string> | undefined;
  return ({ launchId }) => {
    if (launchId === null || launchId === undefined) return undefined;
    folders ??= new Map(
      listLaunches(stateDir).flatMap(({ record }) =>
        record.launchId === undefined ? [] : [[record.launchId, record.cwd] as const],
      ),
    );
    return folders.get(launchId);
  };
}
