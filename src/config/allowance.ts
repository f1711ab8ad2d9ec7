/** How much may be used: of money, tokens or requests; beyond the soft limit only what is free, beyond the hard one nothing. */

import { z } from "zod";

/** 0 is no limit. */
const amount = z.number().nonnegative();
const count = z.number().int().nonnegative();

export const allowanceSchema = z.strictObject({
  soft_usd: amount.optional(),
  hard_usd: amount.optional(),
  soft_tokens: count.optional(),
  hard_tokens: count.optional(),
  soft_requests: count.optional(),
  hard_requests: count.optional(),
});

export type Allowance = z.infer<typeof allowanceSchema>;
