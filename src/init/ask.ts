/** The questions of a set-up: asked at a terminal, or answered with what is usual where nobody is asked. */

/** Ctrl-C, or Escape, at a question. */
export class Cancelled extends Error {
  override name = "Cancelled";
}

export interface Choice<Value extends string> {
  value: Value;
  label: string;
  hint?: string;
}

export interface Asker {
  isSilent: boolean;
  intro(title: string): void;
  /** A few lines with a heading. */
  note(title: string, lines: readonly string[]): void;
  say(kind: "good" | "warn" | "plain", line: string): void;
  outro(line: string): void;
  /** @throws {Cancelled} like all that follow */
  select<Value extends string>(question: string, choices: readonly Choice<Value>[], usual: Value): Promise<Value>;
  several<Value extends string>(
    question: string,
    choices: readonly Choice<Value>[],
    usual: readonly Value[],
  ): Promise<Value[]>;
  /** What is typed is not shown; empty is none. */
  secret(question: string): Promise<string>;
  confirm(question: string, usual: boolean): Promise<boolean>;
  /** Says what is under way. */
  during<Result>(what: string, work: () => Promise<Result>): Promise<Result>;
}

/** Nobody is asked; nothing is shown, since the caller tells the outcome as a whole. */
export const silentAsker: Asker = {
  isSilent: true,
  intro: () => {},
  note: () => {},
  say: () => {},
  outro: () => {},
  select: async (_question, _choices, usual) => usual,
  several: async (_question, _choices, usual) => [...usual],
  secret: async () => "",
  confirm: async (_question, usual) => usual,
  during: (_what, work) => work(),
};

/** Loaded only where somebody is asked. */
export async function terminalAsker(): Promise<Asker> {
  const clack = await import("@clack/prompts");
  const answered = <Value>(answer: Value): Exclude<Value, symbol> => {
    if (clack.isCancel(answer)) throw new Cancelled();
    return answer as Exclude<Value, symbol>;
  };
  return {
    isSilent: false,
    intro: (title) => clack.intro(title),
    note: (title, lines) => clack.note(lines.join("\n"), title),
    say: (kind, line) => ({ good: clack.log.success, warn: clack.log.warn, plain: clack.log.info })[kind](line),
    outro: (line) => clack.outro(line),
    async select(message, choices, usual) {
      const options = choices.map((choice) => ({ ...choice }));
      return answered(await clack.select<string>({ message, options, initialValue: usual })) as typeof usual;
    },
    async several(message, choices, usual) {
      const options = choices.map((choice) => ({ ...choice }));
      const chosen = await clack.multiselect<string>({ message, options, initialValues: [...usual], required: false });
      return answered(chosen) as (typeof usual)[number][];
    },
    secret: async (message) => answered(await clack.password({ message })) ?? "",
    confirm: async (message, usual) => answered(await clack.confirm({ message, initialValue: usual })),
    async during(what, work) {
      // Its spinner takes Ctrl-C for an end in good order (1.9.0); without one the signal ends the program, as everywhere.
      clack.log.step(`${what} ...`);
      return await work();
    },
  };
}
