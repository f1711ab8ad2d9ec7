/** Files that Bun embeds as text: `import x from "./y.sql" with { type: "text" }`. */
declare module "*.sql" {
  const text: string;
  export default text;
}
