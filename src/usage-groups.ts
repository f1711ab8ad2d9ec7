/** What usage can be added up by; apart from what adds it up, since the command line loads it with every command. */

export const usageGroups = ["agent", "model", "provider", "session", "folder", "tier", "day"] as const;
export type UsageGroup = (typeof usageGroups)[number];
