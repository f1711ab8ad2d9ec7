/**
 * Writes providers/model-snapshot.json, what Clutch knows of models before it has asked anybody: windows, output limits,
 * abilities and list prices. The figures come from the catalogue in the npm package @earendil-works/pi-ai (MIT), which is
 * made from the providers' own lists; it holds only models that take tools.
 *
 *     bun scripts/model-snapshot.ts [version]
 */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Their provider ids and ours. */
const providers = {
  openrouter: "openrouter",
  anthropic: "anthropic",
  openai: "openai",
  google: "gemini",
  deepseek: "deepseek",
  zai: "zai",
  moonshotai: "moonshot",
  minimax: "minimax",
  groq: "groq",
  cerebras: "cerebras",
  mistral: "mistral",
  xai: "xai",
  nvidia: "nvidia",
  together: "together",
  fireworks: "fireworks",
  opencode: "zen",
} as const;

interface CatalogueModel {
  type: string;
  id: string;
  reasoning?: boolean;
  input: string[];
  cost: { input: number; output: number; cacheRead: number; cacheWrite: number };
  contextWindow: number;
  maxTokens: number;
}

const packageName = `@earendil-works/pi-ai@${process.argv[2] ?? "latest"}`;
const folder = mkdtempSync(join(tmpdir(), "clutch-models-"));
try {
  run(["npm", "pack", "--silent", packageName]);
  const [archive = ""] = readdirSync(folder);
  run(["tar", "xzf", archive]);
  const data = join(folder, "package/dist/providers/data");
  const { generatedAt } = await Bun.file(join(data, ".manifest.json")).json();
  const lines: string[] = [];
  for (const [theirs, ours] of Object.entries(providers)) {
    const byApi: Record<string, Record<string, CatalogueModel>> = await Bun.file(join(data, `${theirs}.json`)).json();
    const models = Object.values(byApi).flatMap((group) => Object.values(group).filter(isChatModel));
    const byId = new Map(models.map((model) => [model.id, model]));
    const rows = [...byId]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, model]) => `    ${JSON.stringify(id)}: ${JSON.stringify(row(model))}`);
    lines.push(`  ${JSON.stringify(ours)}: {\n${rows.join(",\n")}\n  }`);
  }
  const text = `{\n"taken_at": ${JSON.stringify(generatedAt.slice(0, 10))},\n"providers": {\n${lines.join(",\n")}\n}\n}\n`;
  JSON.parse(text);
  await Bun.write(join(import.meta.dir, "../providers/model-snapshot.json"), text);
} finally {
  rmSync(folder, { recursive: true });
}

function run(argv: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(argv, { cwd: folder });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} failed: ${stderr}`);
}

/** `~vendor/…-latest` are aliases that move. */
function isChatModel(model: CatalogueModel): boolean {
  return model.type === "chat" && !model.id.startsWith("~") && model.contextWindow > 0;
}

function row({ contextWindow, maxTokens, input, reasoning, cost }: CatalogueModel) {
  return {
    context: contextWindow,
    output: maxTokens,
    ...(input.includes("image") && { image: true }),
    ...(reasoning === true && { reasoning: true }),
    usd: [cost.input, cost.output, cost.cacheRead, cost.cacheWrite],
  };
}
