/** Files that Bun embeds as text: `import x from "./y.sql" with { type: "text" }`. */
declare module "*.sql" {
  const text: string;
  export default text;
}

/** The path of a file that is part of the executable. */
declare module "*.tiktoken" {
  const path: string;
  export default path;
}
