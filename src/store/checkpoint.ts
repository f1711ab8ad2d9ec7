/**
 * Copies the write-ahead log back into the ledger from another thread: it waits for the disk, and no stream should wait with
 * it. Reading and writing go on meanwhile.
 */

/** Runs in the Worker: plain JavaScript, as nothing compiles it. */
const script = `
import { Database } from "bun:sqlite";
self.onmessage = ({ data: path }) => {
  try {
    const client = new Database(path, { readwrite: true });
    client.run("PRAGMA busy_timeout = 100");
    client.run("PRAGMA synchronous = NORMAL");
    const [row] = client.query("PRAGMA wal_checkpoint(PASSIVE)").values();
    client.close();
    self.postMessage({ isDone: row[0] === 0 && row[1] === row[2] });
  } catch (cause) {
    self.postMessage({ isDone: false, error: String(cause) });
  }
};
`;

/** Longer than any disk should need (ms). */
const limitMs = 60_000;

/** Starts a thread for it, which ends with it. @returns whether all of the log is in the ledger now */
export async function checkpointBeside(path: string): Promise<boolean> {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(url, { smol: true, ref: false });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, limitMs, false);
      timer.unref();
      worker.onmessage = ({ data }: MessageEvent<{ isDone: boolean }>) => resolve(data.isDone);
      worker.onerror = () => resolve(false);
      worker.postMessage(path);
    });
  } finally {
    clearTimeout(timer);
    worker.terminate();
    URL.revokeObjectURL(url);
  }
}
