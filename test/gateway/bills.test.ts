/** What an upstream says an answer has cost comes before any list, in each of the protocols that it is asked in. */

import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { protocols, streamed, whole, wireUsage } from "../support/answers.ts";
import { json, sse } from "../support/fake-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";

const details = (vendors: number) => ({ cost_details: { upstream_inference_cost: vendors } });

/** As OpenRouter tells it: {@link https://openrouter.ai/docs/use-cases/usage-accounting} */
const bills: [name: string, told: JsonObject, expected: number | null][] = [
  ["what it has taken", { cost: 0.0125 }, 0.0125],
  [
    "what it has taken, with the vendor's part of it beside it",
    { cost: 0.0125, is_byok: false, ...details(0.01) },
    0.0125,
  ],
  ["its fee, and what the vendor takes by a key of the user's own", { cost: 0.5, is_byok: true, ...details(9.5) }, 10],
  ["no fee, and what the vendor takes", { cost: 0, is_byok: true, ...details(0.25) }, 0.25],
  ["no fee, and nothing of what the vendor takes", { cost: 0, is_byok: true }, null],
  ["a price that is none", { cost: "0.1" }, null],
];

for (const protocol of protocols) {
  for (const stream of [false, true]) {
    test(`${protocol}, ${stream ? "streamed" : "whole"}: the ledger has the upstream's own bill`, async () => {
      const replies = bills.map(([, told], at) => {
        const usage = { ...wireUsage[protocol], ...told };
        const reply = stream
          ? sse([streamed(protocol).replaceAll(JSON.stringify(wireUsage[protocol]), JSON.stringify(usage))])
          : json({ ...whole[protocol], usage });
        return [`m${at}`, reply] as const;
      });
      await using gateway = await startTestGateway({ replies: Object.fromEntries(replies) });
      for (const [at, [name, , expected]] of bills.entries()) {
        const response = await gateway.ask(protocol, `${protocol}:m${at}`, stream);
        await response.text();
        const { cost_usd, pricing } = await gateway.request(response.headers.get("x-clutch-request-id"));
        expect([name, cost_usd, pricing]).toEqual([name, expected, expected === null ? null : "billed"]);
      }
    });
  }
}
