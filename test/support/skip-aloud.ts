/** For tests that need a program which may not be here. */

/** @returns whether to skip. In CI nothing may be missing, so there the test runs and fails. */
export function skipAloud(isThere: boolean, what: string): boolean {
  if (isThere) return false;
  if (process.env["CI"] === "true") return false;
  console.log(`not tested: ${what} is not installed here`);
  return true;
}
