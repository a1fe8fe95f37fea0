/** The manual page, in the language of man(7). */
import type { Command } from 'commander';
import { examplesOf } from './examples.js';

/** Text as roff shows it: no line may begin with a control character. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', String.raw`\e`)
    .replaceAll('-', String.raw`\-`)
    .replace(/^(?=[.'])/gm, String.raw`\&`);
const bold = (text: string): string => String.raw`\fB${roff(text)}\fR`;

export function manPage(program: Command): string {
  const help = program.createHelp();
  const commands = help.visibleCommands(program).filter((command) => command.name() !== 'help');
  const item = (term: string, text: string): string[] => ['.TP', bold(term), roff(text)];
  const options = (command: Command): string[] =>
    help.visibleOptions(command).flatMap((option) => item(help.optionTerm(option), help.optionDescription(option)));
  return [
    `.TH IVIT 1 "" "ivit ${program.version()}" "User Commands"`,
    '.SH NAME',
    `ivit \\- ${roff(program.description())}`,
    '.SH SYNOPSIS',
    `${bold('ivit')} ${roff('COMMAND [options]')}`,
    '.SH OPTIONS',
    ...options(program),
    '.SH COMMANDS',
    ...commands.flatMap((command) => [
      `.SS ${roff(`ivit ${command.name()} ${command.usage()}`)}`,
      `${roff(command.description())}.`,
      ...command.registeredArguments.flatMap((argument) =>
        item(help.argumentTerm(argument), help.argumentDescription(argument)),
      ),
      ...options(command),
      ...examplesOf(command).flatMap(({ command: line, does }) => ['.PP', `${roff(does)}:`, '.EX', roff(line), '.EE']),
    ]),
    '.SH EXIT STATUS',
    ...item('0', 'done'),
    ...item('1', 'a fault of ivit'),
    ...item('2', 'wrong usage'),
    ...item('3', 'bad input: a model, an image, a dataset'),
    ...item('4', 'a check failed'),
    ...item('130', 'interrupted'),
    '.SH ENVIRONMENT',
    ...item('IVIT_MODEL', 'the model where -m names none'),
    ...item('NO_COLOR, FORCE_COLOR', 'no bold and dim letters; or in pipes too'),
    '',
  ].join('\n');
}
