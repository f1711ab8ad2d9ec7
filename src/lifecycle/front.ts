/**
 * Decides whether a launch goes through Headroom. An agent never talks to it: `/front` of the gateway does, and goes on
 * without it when it fails.
 */

import { headroomPort, judgeHeadroom } from "./chain/headroom.ts";
import { getJson, probeLimitMs } from "./gateway-probe.ts";

export interface Front {
  /** What the agent is pointed at. */
  url: string;
  /** Why not through Headroom, when that is a surprise. */
  note?: string;
  /** It is installed and does not answer. */
  isComing?: true;
}

export interface FrontInput {
  gatewayUrl: string;
  /** Where Headroom listens. */
  port?: number;
  /** Asked only where nothing answers: without the program, nothing is missing. */
  isInstalled(): boolean;
}

export async function chooseFront({ gatewayUrl, port = headroomPort, isInstalled }: FrontInput): Promise<Front> {
  const answer = await getJson(`http://127.0.0.1:${port}/health`, probeLimitMs);
  if (answer === undefined) {
    return isInstalled()
      ? {
          url: gatewayUrl,
          isComing: true,
          note: "Headroom does not answer, so straight to the gateway: clutch up starts it",
        }
      : { url: gatewayUrl };
  }
  const { state, detail } = judgeHeadroom(answer.body, gatewayUrl);
  if (state === "ready") return { url: `${gatewayUrl}/front` };
  return { url: gatewayUrl, note: `straight to the gateway, without Headroom (port ${port}): ${detail}` };
}
