import { describe, expect, test } from "bun:test";
import { buildLaunchToken, maskLaunchToken, parseLaunchToken } from "../src/launch-token.ts";

describe("a launch token", () => {
  test.each([
    ["cip", "a1b2c3d4", undefined, "xx-cip-a1b2c3d4"],
    ["xcpf", "zz", "s3cr-et_X", "xx-xcpf-zz-s3cr-et_X"],
    ["cnb0", "k9", undefined, "xx-cnb0-k9"],
  ])("carries %s through its text", (code, launchId, secret, text) => {
    expect(buildLaunchToken({ code, launchId, secret })).toBe(text);
    for (const header of [text, `Bearer ${text}`, `bearer  ${text} `]) {
      expect(parseLaunchToken(header)).toMatchObject({ code, launchId, ...(secret === undefined ? {} : { secret }) });
    }
  });

  test("tells agent, mode, route and tier", () => {
    expect(parseLaunchToken("xx-xcpf-ab12")).toEqual({
      code: "xcpf",
      agent: "x",
      mode: "c",
      route: "p",
      tier: "f",
      launchId: "ab12",
    });
    expect(parseLaunchToken("xx-cib-ab12")).toEqual({
      code: "cib",
      agent: "c",
      mode: "i",
      route: "b",
      launchId: "ab12",
    });
  });

  test.each([
    "",
    "sk-ant-api03-abc",
    "xx-cip",
    "xx-cip-",
    "xx-ci-ab12",
    "xx-zip-ab12",
    "xx-czp-ab12",
    "xx-ciz-ab12",
    "xx-cipz-ab12",
    "xx-cidf-ab12",
    "xx-cip-AB12",
    "xx-cip-ab12-",
    "xx-cip-ab12-a b",
    "Basic xx-cip-ab12",
  ])("is not %p", (text) => {
    expect(parseLaunchToken(text)).toBeUndefined();
  });

  test("is shown without launch id and secret", () => {
    expect(maskLaunchToken("xx-cipf-ab12")).toBe("xx-cipf-…");
    expect(maskLaunchToken("xx-cip-ab12-secret-part")).toBe("xx-cip-…");
  });
});
