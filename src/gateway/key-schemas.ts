/** What is said about keys under /admin: the schemas that requests are read by, answers are typed by, and /openapi.json is made of. */

import { z } from "zod";
import { agentIds } from "../agent-roles.ts";
import { allowanceSchema } from "../config/allowance.ts";

const agent = z.enum(Object.keys(agentIds) as [keyof typeof agentIds, ...(keyof typeof agentIds)[]]);

const time = z.iso.datetime();

const terms = {
  agents: z.array(agent).min(1).nullable().describe("the agents that may use it; null is any"),
  models: z
    .array(z.string().min(1).max(200))
    .min(1)
    .max(100)
    .nullable()
    .describe("patterns of provider:model, or of the model alone, in which * stands for anything; null is any"),
  budget: allowanceSchema.nullable().describe("how much it may use in a day (UTC); null is as much as anybody"),
};

export const createKeyRequest = z.strictObject({
  name: z
    .string()
    .trim()
    .min(1)
    .max(64)
    .regex(/^\P{Cc}*$/u, "must have no control characters")
    .describe("for people; no two valid keys have the same"),
  agents: terms.agents.default(null),
  models: terms.models.default(null),
  budget: terms.budget.default(null),
  expires_at: time.nullable().default(null).describe("null never expires"),
});

const which = z.string().min(1).max(200).describe("its id, the beginning of it, or its name");

export const revokeKeyRequest = z.strictObject({ key: which });

export const rotateKeyRequest = z.strictObject({
  key: which,
  grace_seconds: z
    .number()
    .int()
    .nonnegative()
    .max(31_536_000)
    .default(0)
    .describe("how long the old key is still good; 0 ends it at once"),
});

export const keyReport = z.strictObject({
  id: z.string().describe("the part of the key by which it is recognised"),
  name: z.string(),
  state: z.enum(["valid", "expired", "revoked"]),
  ...terms,
  created_at: time,
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
  last_used_at: time.nullable().describe("to the minute"),
});

export const keyList = z.strictObject({ keys: z.array(keyReport) });

export const newKeyReport = z.strictObject({
  key: z.string().describe("the key itself, which is told this once"),
  about: keyReport,
});

export const rotatedKeyReport = z.strictObject({ ...newKeyReport.shape, replaces: keyReport });

export type CreateKeyRequest = z.infer<typeof createKeyRequest>;
export type RevokeKeyRequest = z.infer<typeof revokeKeyRequest>;
export type RotateKeyRequest = z.infer<typeof rotateKeyRequest>;
export type KeyReport = z.infer<typeof keyReport>;
export type KeyList = z.infer<typeof keyList>;
export type NewKeyReport = z.infer<typeof newKeyReport>;
export type RotatedKeyReport = z.infer<typeof rotatedKeyReport>;
