/** Reads the arguments of `xx`. By hand: a command-line library costs more than the rest of a launch. Pure. */

import { ClutchError } from "../src/errors.ts";

export interface XxOptions {
  session?: string;
  model?: string;
  prompt?: string;
  isDryRun: boolean;
  isJson: boolean;
  isSafe: boolean;
  skipsFront: boolean;
  wantsHelp: boolean;
  wantsVersion: boolean;
  /** The launch code, then the words of a prompt. */
  words: string[];
  /** Everything behind `--`. */
  rest: string[];
}

type Switch = "isDryRun" | "isJson" | "isSafe" | "skipsFront" | "wantsHelp" | "wantsVersion";

const switches: Readonly<Record<string, Switch>> = {
  "-n": "isDryRun",
  "--dry-run": "isDryRun",
  "--json": "isJson",
  "--safe": "isSafe",
  "--no-front": "skipsFront",
  "-h": "wantsHelp",
  "--help": "wantsHelp",
  "--version": "wantsVersion",
};

const values: Readonly<Record<string, "session" | "model" | "prompt">> = {
  "-s": "session",
  "--session": "session",
  "-m": "model",
  "--model": "model",
  "-p": "prompt",
  "--prompt": "prompt",
};

/**
 * Options may stand before or after the code; `--model=REF` works as `--model REF` does.
 * @throws {ClutchError} `usage`
 */
export function parseXxOptions(args: readonly string[]): XxOptions {
  const options: XxOptions = {
    isDryRun: false,
    isJson: false,
    isSafe: false,
    skipsFront: false,
    wantsHelp: false,
    wantsVersion: false,
    words: [],
    rest: [],
  };
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? "";
    if (word === "--") {
      options.rest = args.slice(index + 1);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      options.words.push(word);
      continue;
    }
    const equals = word.startsWith("--") ? word.indexOf("=") : -1;
    const flag = equals === -1 ? word : word.slice(0, equals);
    const option = Object.hasOwn(values, flag) ? values[flag] : undefined;
    const toggle = Object.hasOwn(switches, word) ? switches[word] : undefined;
    if (option !== undefined) {
      options[option] = checkValue(flag, option, equals === -1 ? args[++index] : word.slice(equals + 1));
    } else if (toggle !== undefined) {
      options[toggle] = true;
    } else {
      throw new ClutchError("usage", `unknown option "${word}"`, {
        hint: "xx --help lists them; the agent's own go behind --",
      });
    }
  }
  return options;
}

/** A prompt may begin with a dash; an id or a model that does is a forgotten value. */
function checkValue(flag: string, option: "session" | "model" | "prompt", value: string | undefined): string {
  const isMissing = value === undefined || value.trim() === "";
  if (isMissing || (option !== "prompt" && value.startsWith("-"))) {
    throw new ClutchError("usage", `${flag} needs a value${isMissing ? "" : `, and "${value}" looks like an option`}`, {
      hint: { session: "give a session's id", model: "give a model reference", prompt: "give a text" }[option],
    });
  }
  return value;
}
