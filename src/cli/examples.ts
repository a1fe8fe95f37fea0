/** Examples of a command, for its help and the man page. */
import type { Command } from 'commander';

export interface Example {
  readonly command: string;
  readonly does: string;
}

const EXAMPLES = new WeakMap<Command, readonly Example[]>();

/** @param examples command lines without `ivit`, and what each does */
export function addExamples(command: Command, examples: Readonly<Record<string, string>>): Command {
  const list = Object.entries(examples).map(([line, does]) => ({ command: `ivit ${line}`, does }));
  EXAMPLES.set(command, list);
  return command.addHelpText(
    'after',
    ['', 'Examples:', ...list.flatMap(({ command: line, does }) => [`  ${line}`, `      ${does}`])].join('\n'),
  );
}

export const examplesOf = (command: Command): readonly Example[] => EXAMPLES.get(command) ?? [];
