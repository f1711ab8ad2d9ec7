/** The config file's shape for editors and validators, made from the schema that Clutch itself reads it by. */

import { z } from "zod";
import type { JsonObject } from "../protocols/chat.ts";
import { configSchema } from "./schema.ts";

/** Draft 7, which every editor knows. A file may have less than it says: what has a default may be left out. */
export function configJsonSchema(): JsonObject {
  const { $schema, ...rest } = z.toJSONSchema(configSchema, { io: "input", target: "draft-7" }) as JsonObject;
  return { $schema, title: "Clutch config", ...rest };
}
