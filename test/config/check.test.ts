import { describe, expect, test } from "bun:test";
import { type ConfigProblem, checkConfigText } from "../../src/config/check.ts";

const lines = (problems: readonly ConfigProblem[]) =>
  problems.map(
    ({ kind, line, column, setting, message, hint }) => `${line}:${column} ${kind} [${setting}] ${message}; ${hint}`,
  );

describe("checkConfigText()", () => {
  const texts: [name: string, text: string, problems: string[]][] = [
    ["nothing", "", []],
    ["a good one", '{ "server": { "port": 1 }, /* mine */ }', []],
    [
      "a missing comma",
      '{\n  "server": { "port": 1 }\n  "fallbacks": []\n}\n',
      ["3:3 error [] not valid JSON (comma expected); mend that line"],
    ],
    [
      "two broken lines",
      '{\n  "default_provider": openai,\n  "fallbacks": [\n}\n',
      [
        "2:23 error [] not valid JSON (invalid symbol); mend that line",
        "4:1 error [] not valid JSON (value expected); mend that line",
        "5:1 error [] not valid JSON (close bracket expected); mend that line",
      ],
    ],
    [
      "every mistake, where it is",
      '{\n\t"sever": {},\n\t"server": {\n\t\t"port": "high"\n\t},\n\t"providers": { "x": { "base_url": "nowhere", "api_key": 5 } },\n\t"breaker": { "failure": 1 }\n}',
      [
        '2:2 error [sever] unknown key "sever"; did you mean "server"?',
        '4:3 error [server.port] "server.port" is "high": invalid input: expected number, received string; correct it in the file',
        '6:24 error [providers.x.base_url] "providers.x.base_url" is "nowhere": invalid URL; correct it in the file',
        '6:47 error [providers.x.api_key] "providers.x.api_key" is 5: invalid input: expected string, received number; correct it in the file',
        '7:15 error [breaker.failure] unknown key "breaker.failure"; did you mean "breaker.failures"?',
      ],
    ],
    [
      "a key that stands there twice",
      '{\r\n  "server": { "port": 1 },\r\n  "server": { "port": 2 }\r\n}',
      ["3:3 warning [server] server stands there twice: this one counts; remove the other"],
    ],
    [
      "a list",
      "[]",
      ["1:1 error [] the whole is []: invalid input: expected object, received array; correct it in the file"],
    ],
    [
      "a member of a list",
      '{"fallbacks": ["a", 5]}',
      [
        '1:21 error [fallbacks[1]] "fallbacks[1]" is 5: invalid input: expected string, received number; correct it in the file',
      ],
    ],
    ["a byte order mark", '\uFEFF{"x": 1}', ['1:3 error [x] unknown key "x"; remove it']],
  ];
  test.each(texts)("%s", (_name, text, problems) => {
    const checked = checkConfigText(text, false);
    expect(lines(checked.problems)).toEqual(problems);
    expect(checked.config !== undefined).toBe(problems.every((line) => line.includes(" warning ")));
  });

  test("shows no secret of a value that is refused", () => {
    const [problem] = checkConfigText('{"providers": {"x": {"api_keys": "sk-secret-0123456789"}}}', false).problems;
    expect(problem?.message).toStartWith('"providers.x.api_keys" is (hidden): ');
  });

  test("only warns of what the predecessor's file has of its own", () => {
    const checked = checkConfigText('{"selectors": {}, "server": {"port": 1}}', true);
    expect(lines(checked.problems)).toEqual(['1:2 warning [selectors] "selectors" means nothing to Clutch; remove it']);
    expect(checked.config?.server.port).toBe(1);
  });
});
