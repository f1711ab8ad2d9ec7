/** Runs `xx` from its sources as a program of its own: `bun test/support/run-xx.ts cip -n`. */

import { runXx } from "../../commands/xx.ts";

process.exitCode = await runXx(process.argv.slice(2), process.env);
