/** The error of a stream that stopped without its protocol's terminal signal. */

import type { StreamError } from "./chat.ts";

/**
 * Agents decide by words and codes whether to try again: Pi repeats at "connection lost" and "server error", Qwen Code at
 * the code of a reset connection; the others repeat either way (measured with Pi 0.87.1 and Qwen Code 0.24.4).
 */
export const cutOff: StreamError = {
  kind: "incomplete",
  message: "connection lost: the upstream ended its stream early (server error)",
  code: "ECONNRESET",
};
