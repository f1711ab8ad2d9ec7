import { describe, expect, test } from "bun:test";
import { judgeFront } from "../../src/lifecycle/front.ts";

const gateway = "http://127.0.0.1:8082";
const headroom = "http://127.0.0.1:8787";

function health(config: object | undefined, status = "healthy") {
  return { service: "headroom-proxy", status, ready: true, config };
}

describe("judgeFront()", () => {
  test.each([
    [
      "it sends to the gateway",
      health({ anthropic_api_url: gateway, openai_api_url: `${gateway}/v1` }),
      headroom,
      undefined,
    ],
    [
      "it names this machine otherwise",
      health({ anthropic_api_url: "http://localhost:8082/", openai_api_url: gateway }),
      headroom,
      undefined,
    ],
    [
      "it sends elsewhere",
      health({ anthropic_api_url: "https://api.anthropic.com", openai_api_url: gateway }),
      gateway,
      "Headroom sends to https://api.anthropic.com, not to the gateway, so straight to the gateway",
    ],
    [
      "one of its targets is not ours",
      health({ anthropic_api_url: gateway, openai_api_url: "https://api.openai.com/v1" }),
      gateway,
      "Headroom sends to https://api.openai.com/v1, not to the gateway, so straight to the gateway",
    ],
    [
      "it does not say where it sends to",
      health(undefined),
      gateway,
      "Headroom does not say where it sends to, so straight to the gateway",
    ],
    [
      "it is not well",
      health({ anthropic_api_url: gateway, openai_api_url: gateway }, "unhealthy"),
      gateway,
      "Headroom is unhealthy, so straight to the gateway",
    ],
    [
      "something else listens there",
      { status: "ok" },
      gateway,
      `what answers at ${headroom} is not Headroom, so straight to the gateway`,
    ],
    [
      "the answer is no JSON",
      undefined,
      gateway,
      `what answers at ${headroom} is not Headroom, so straight to the gateway`,
    ],
  ])("%s", (_why, answer, url, note) => {
    expect(judgeFront(gateway, answer)).toEqual({ url, ...(note !== undefined && { note }) });
  });
});
