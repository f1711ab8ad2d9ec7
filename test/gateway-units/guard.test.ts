import { describe, expect, test } from "bun:test";
import { isLoopback, refuseForeign } from "../../src/gateway/guard.ts";

describe("isLoopback()", () => {
  const cases: [host: string, is: boolean][] = [
    ["localhost", true],
    ["127.0.0.1", true],
    ["127.8.9.10", true],
    ["::1", true],
    ["[::1]", true],
    ["0.0.0.0", false],
    ["::", false],
    ["192.168.0.2", false],
    ["127.0.0.1.example.com", false],
    ["localhost.example.com", false],
    ["example.com", false],
    ["", false],
  ];
  test.each(cases)("%p: %p", (host, is) => {
    expect(isLoopback(host)).toBe(is);
  });
});

describe("refuseForeign()", () => {
  const page = (origin: string) => `requests from web pages of "${origin}" are not accepted`;
  const name = (host: string) => `this gateway does not answer to the host name "${host}"`;
  const cases: [name: string, headers: Record<string, string>, boundTo: string, refusal: string | undefined][] = [
    ["an agent at loopback", { host: "127.0.0.1:8082" }, "127.0.0.1", undefined],
    ["an agent by name", { host: "localhost:8082" }, "127.0.0.1", undefined],
    ["an agent by a name in capitals", { host: "LocalHost:8082" }, "127.0.0.1", undefined],
    ["an agent at IPv6 loopback", { host: "[::1]:8082" }, "::1", undefined],
    ["a host without a port", { host: "localhost" }, "localhost", undefined],
    ["no host at all", {}, "127.0.0.1", undefined],
    ["the gateway's own page", { host: "localhost:8082", origin: "http://localhost:8082" }, "127.0.0.1", undefined],
    ["a name after DNS rebinding", { host: "evil.example:8082" }, "127.0.0.1", name("evil.example:8082")],
    [
      "a name that begins like an address",
      { host: "127.0.0.1.evil.example" },
      "127.0.0.1",
      name("127.0.0.1.evil.example"),
    ],
    [
      "a rebound name and its own page",
      { host: "evil.example", origin: "http://evil.example" },
      "::1",
      name("evil.example"),
    ],
    [
      "a page of another site",
      { host: "127.0.0.1:8082", origin: "https://evil.example" },
      "127.0.0.1",
      page("https://evil.example"),
    ],
    [
      "a page of another port",
      { host: "localhost:8082", origin: "http://localhost:3000" },
      "127.0.0.1",
      page("http://localhost:3000"),
    ],
    [
      "an image on a page of another site",
      { host: "127.0.0.1:8082", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
      "127.0.0.1",
      "requests from web pages of other sites are not accepted",
    ],
    [
      "a script on a page of another port, where a key is required",
      { host: "localhost:8082", "sec-fetch-site": "same-site" },
      "0.0.0.0",
      "requests from web pages of other sites are not accepted",
    ],
    ["an address that somebody has typed", { host: "localhost:8082", "sec-fetch-site": "none" }, "::1", undefined],
    [
      "the gateway's own page, which reads",
      { host: "localhost:8082", "sec-fetch-site": "same-origin" },
      "127.0.0.1",
      undefined,
    ],
    ["Node's fetch", { host: "127.0.0.1:8082", "sec-fetch-mode": "cors" }, "127.0.0.1", undefined],
    ["a page without a name of its own", { host: "127.0.0.1:8082", origin: "null" }, "127.0.0.1", page("null")],
    [
      "an extension",
      { host: "127.0.0.1:8082", origin: "chrome-extension://abc" },
      "127.0.0.1",
      page("chrome-extension://abc"),
    ],
    [
      "a page, and no host to compare with",
      { origin: "http://localhost:8082" },
      "127.0.0.1",
      page("http://localhost:8082"),
    ],
    ["any host beyond loopback", { host: "box.lan:8082" }, "0.0.0.0", undefined],
    [
      "a page even beyond loopback",
      { host: "box.lan:8082", origin: "http://evil.example" },
      "0.0.0.0",
      page("http://evil.example"),
    ],
  ];
  test.each(cases)("judges %s", (_name, headers, boundTo, refusal) => {
    expect(refuseForeign(new Headers(headers), boundTo)).toBe(refusal as string);
  });
});
