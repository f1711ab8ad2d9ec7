/** How this program is started again. */

/** Whether this is the compiled executable, and not Bun with the sources. */
export function isCompiled(): boolean {
  return Bun.main.startsWith("/$bunfs/");
}

/** Its file, and its main module where it runs from source; the arguments of `clutch` follow. */
export function ownCommand(): [string] | [string, string] {
  return isCompiled() ? [process.execPath] : [process.execPath, `${import.meta.dir}/main.ts`];
}
