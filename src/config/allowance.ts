/** How much may be used: of money, tokens or requests; beyond the soft limit only what is free, beyond the hard one nothing. */

import { z } from "zod";

/** 0 is no limit. */
const amount = z.number().nonnegative().optional();
const count = z.number().int().nonnegative().optional();

export const allowanceSchema = z.strictObject({
  soft_usd: amount,
  hard_usd: amount,
  soft_tokens: count,
  hard_tokens: count,
  soft_requests: count,
  hard_requests: count,
});

export type Allowance = z.infer<typeof allowanceSchema>;
