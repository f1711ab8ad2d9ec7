/** `npm run build`: compiles dist/clutch and links dist/xx to it. */

import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const dist = join(root, "dist");
mkdirSync(dist, { recursive: true });

const built = Bun.spawnSync(
  [
    process.execPath,
    "build",
    "--compile",
    // Splitting is what keeps the launcher from parsing the gateway; bytecode saves the parsing of the rest.
    "--splitting",
    "--format=esm",
    "--minify",
    "--bytecode",
    // Otherwise the executable would run the preloads and load the .env of whatever folder it is started in.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--outfile",
    join(dist, "clutch"),
    join(root, "src/main.ts"),
  ],
  { cwd: root, stdout: "inherit", stderr: "inherit" },
);
if (built.exitCode !== 0) process.exit(built.exitCode);

rmSync(join(dist, "xx"), { force: true });
symlinkSync("clutch", join(dist, "xx"));
