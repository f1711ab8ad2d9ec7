/** A gateway for the length of one command: on a free port, with a ledger of its own that goes with it. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findModel } from "../../providers/model-facts.ts";
import { readWholeSnapshot } from "../../providers/model-snapshot.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { Env } from "../config/paths.ts";
import { mergeLists } from "../models/catalogue.ts";
import { readLists } from "../models/files.ts";
import { openStore } from "../store/open.ts";
import { startGateway } from "./server.ts";

export interface PassingGateway extends AsyncDisposable {
  url: string;
  /** Its ledger's file. */
  database: string;
}

/** @param cacheDir where the lists of models are */
export async function startPassingGateway(loaded: LoadedConfig, cacheDir: string, env: Env): Promise<PassingGateway> {
  const home = mkdtempSync(join(tmpdir(), "clutch-replay-"));
  const removeHome = () => rmSync(home, { recursive: true, force: true });
  try {
    const { takenAt, catalogue } = readWholeSnapshot();
    const book = mergeLists(catalogue, Date.parse(takenAt), readLists(cacheDir));
    const server = { ...loaded.config.server, host: "127.0.0.1", port: 0, require_key: false };
    const database = join(home, "clutch.db");
    const store = openStore(database);
    const gateway = await startGateway({
      loaded: { ...loaded, config: { ...loaded.config, server } },
      tierLetters: {},
      env,
      store,
      fetch,
      factsOf: ({ provider, model }) => findModel(provider.id, model, book.catalogue),
      modelBook: () => book,
      launchSecret: () => undefined,
      log: () => {},
      onLeft: () => {},
    }).catch((error: unknown) => {
      store.close();
      throw error;
    });
    return {
      url: gateway.url,
      database,
      async [Symbol.asyncDispose]() {
        await gateway.stop(0);
        removeHome();
      },
    };
  } catch (error) {
    removeHome();
    throw error;
  }
}
