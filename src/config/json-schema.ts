/** The config file's shape for editors and validators, made from the schema that Clutch itself reads it by. */

import { z } from "zod";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { describeSetting } from "./descriptions.ts";
import { configSchema } from "./schema.ts";

/** Draft 7, which every editor knows. A file may have less than it says: what has a default may be left out. */
export function configJsonSchema(): JsonObject {
  const { $schema, ...rest } = z.toJSONSchema(configSchema, { io: "input", target: "draft-7" }) as JsonObject;
  return { $schema, title: "Clutch config", ...describeAll(rest, []) };
}

function describeAll(schema: JsonObject, path: readonly string[]): JsonObject {
  const described: JsonObject = {};
  const description = describeSetting(path);
  if (description !== undefined) described["description"] = description;
  for (const [key, value] of Object.entries(schema)) {
    if (key === "properties" && isObject(value)) {
      described[key] = Object.fromEntries(
        Object.entries(value).map(([name, member]) => [name, describeMember(member, [...path, name])]),
      );
    } else {
      const isMember = key === "additionalProperties" || key === "items";
      described[key] = isMember ? describeMember(value, [...path, "*"]) : value;
    }
  }
  return described;
}

function describeMember(member: Json | undefined, path: readonly string[]): Json | undefined {
  return isObject(member) ? describeAll(member, path) : member;
}
