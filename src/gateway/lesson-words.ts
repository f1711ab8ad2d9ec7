/** Says for people how a request was changed because a target refuses parts of it. Pure. */

import type { Lesson } from "../../providers/lessons.ts";
import type { Quirks } from "../protocols/codec.ts";

/** One line for each change. @param isNew the target has just refused the request as it was */
export function describeLesson({ quirks, ...wire }: Lesson, isNew: boolean): string[] {
  const renamed = Object.entries(wire.renameFields);
  const changes = [
    ...(wire.dropFields.length === 0 ? [] : [`left out ${wire.dropFields.join(", ")}`]),
    ...renamed.map(([from, to]) => `sent ${from} as ${to}`),
    ...(wire.dropBetas.length === 0 ? [] : [`left out the beta ${wire.dropBetas.join(", ")}`]),
    ...(wire.maxOutputTokens === undefined ? [] : [`asked for at most ${wire.maxOutputTokens} output tokens`]),
    ...Object.entries(quirks).flatMap(([name, value]) => describeQuirk(name as keyof Quirks, value) ?? []),
  ];
  const why = isNew ? "it refused the request as it was" : "it is known to refuse it otherwise";
  return changes.map((change) => `${change}: ${why}`);
}

/** Undefined for what the fields above have said already. */
function describeQuirk(name: keyof Quirks, value: unknown): string | undefined {
  switch (name) {
    case "maxTokensField":
    case "streamOptions":
    case "sampling":
      return undefined;
    case "systemFirstOnly":
    case "midSystem":
      return "put system messages where it takes them";
    case "outputFormat":
      return "asked for the answer's schema in words";
    case "developerRole":
      return "sent developer messages as system messages";
    case "efforts":
      return Array.isArray(value) ? `asked for an effort among ${value.join(", ")}` : undefined;
    case "thinkingMode":
      return value === "none" ? undefined : `asked for thinking by ${value === "budget" ? "a budget" : "effort"}`;
    default:
      return `changed ${name}`;
  }
}
