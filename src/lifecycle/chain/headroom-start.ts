import { findBinary } from "../../find-binary.ts";
import type { Service } from "./services.ts";
import type { Start, StartPlace } from "./starts.ts";

export async function startHeadroom(service: Service, place: StartPlace, env: Record<string, string>): Promise<Start> {
  const file = findBinary("headroom", place.env);
  if (file === undefined) return { kind: "absent", program: "headroom", hint: 'uv tool install "headroom-ai[proxy]"' };
  return {
    kind: "ready",
    argv: [
      file,
      "proxy",
      "--host",
      "127.0.0.1",
      "--port",
      String(service.port),
      "--mode",
      "cache",
      "--lossless",
      "--no-cache",
      "--no-rate-limit",
      "--anthropic-api-url",
      place.gatewayUrl,
      "--openai-api-url",
      place.gatewayUrl,
    ],
    env: {
      ...env,
      HEADROOM_OFFLINE: "1",
      ANTHROPIC_TARGET_API_URL: place.gatewayUrl,
      OPENAI_TARGET_API_URL: place.gatewayUrl,
    },
  };
}
