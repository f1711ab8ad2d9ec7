/** What `clutch keys` and /admin/keys do: the same whether a gateway runs or the ledger alone is there. */

import { type AgentId, agentIds } from "../agent-roles.ts";
import { ClutchError } from "../errors.ts";
import { asIso } from "../explain/clock.ts";
import type {
  CreateKeyRequest,
  KeyList,
  KeyReport,
  NewKeyReport,
  RevokeKeyRequest,
  RotatedKeyReport,
  RotateKeyRequest,
} from "./key-schemas.ts";
import type { Key, Keyring } from "./keyring.ts";

/** The newest last. */
export function listKeys(keyring: Keyring): KeyList {
  return { keys: keyring.list().map((key) => reportKey(key, keyring)) };
}

/** @throws {ClutchError} as `Keyring.create`; `usage` for a time that is past */
export async function createKey(request: CreateKeyRequest, keyring: Keyring, now: number): Promise<NewKeyReport> {
  const { name, agents, models, budget, expires_at } = request;
  const expiresAt = expires_at === null ? undefined : Date.parse(expires_at);
  if (expiresAt !== undefined && expiresAt <= now) {
    throw new ClutchError("usage", `the key would expire at ${expires_at}, which is past`, {
      hint: "give a later time",
    });
  }
  const { key, text } = await keyring.create({
    name,
    agents: agents?.map((id) => agentIds[id]),
    models: models ?? undefined,
    budget: budget ?? undefined,
    expiresAt,
  });
  return { key: text, about: reportKey(key, keyring) };
}

/** @throws {ClutchError} as `Keyring.revoke` */
export async function revokeKey({ key }: RevokeKeyRequest, keyring: Keyring): Promise<KeyReport> {
  return reportKey(await keyring.revoke(key), keyring);
}

/** @throws {ClutchError} as `Keyring.rotate` */
export async function rotateKey(request: RotateKeyRequest, keyring: Keyring): Promise<RotatedKeyReport> {
  const { key, text, old } = await keyring.rotate(request.key, request.grace_seconds * 1000);
  return { key: text, about: reportKey(key, keyring), replaces: reportKey(old, keyring) };
}

function reportKey(key: Key, keyring: Keyring): KeyReport {
  const { id, name, agents, models, budget, createdAt, expiresAt, revokedAt, lastUsedAt } = key;
  return {
    id,
    name,
    state: keyring.stateOf(key),
    agents: agents?.flatMap((letter) => agentOf(letter) ?? []) ?? null,
    models: models === undefined ? null : [...models],
    budget: budget ?? null,
    created_at: asIso(createdAt) ?? "",
    expires_at: asIso(expiresAt),
    revoked_at: asIso(revokedAt),
    last_used_at: asIso(lastUsedAt),
  };
}

function agentOf(letter: string): AgentId | undefined {
  return (Object.keys(agentIds) as AgentId[]).find((id) => agentIds[id] === letter);
}
