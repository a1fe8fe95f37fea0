import { Argument } from 'commander';
import type { Command, Option } from 'commander';
import { addExamples } from './examples.js';
import { printLines } from './render.js';

const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript };

export function addCompletionCommand(program: Command): void {
  const command = program
    .command('completion')
    .description('print a script that completes commands, options and their values in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SHELLS)))
    .action((shell: keyof typeof SHELLS) => printLines([SHELLS[shell](program)]));
  addExamples(command, {
    'completion bash >> ~/.bashrc': 'bash',
    'completion zsh > "${fpath[1]}/_ivit"': 'zsh, where compinit runs',
    'completion fish > ~/.config/fish/completions/ivit.fish': 'fish',
  });
}

/** What a value is: one of some words, a path, or anything else. */
function valuesOf(option: Option): readonly string[] | 'path' | 'none' | 'other' {
  if (option.argChoices !== undefined) return option.argChoices;
  if (!option.required && !option.optional) return 'none';
  return isPath(option.flags) ? 'path' : 'other';
}

const isPath = (flags: string): boolean =>
  /[<[](?:.*\.\w+|file|files|dir|path|parts|images|model)(?:\.\.\.)?[>\]]/.test(flags);

/** What a command takes beside options: words of a list, which may be none, or paths. */
function operandsOf({ registeredArguments }: Command): readonly string[] | 'path' {
  return registeredArguments.some(({ argChoices }) => argChoices === undefined)
    ? 'path'
    : registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
}

const optionsOf = (command: Command): Option[] => [...command.createHelp().visibleOptions(command)];
const namesOf = ({ short, long }: Option): string[] => [short, long].filter((name) => name != null);
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

function bashScript(program: Command): string {
  const commands = program.createHelp().visibleCommands(program);
  const optionCase = (command: Command): string[] => {
    const withValues = optionsOf(command).flatMap((option) => {
      const values = valuesOf(option);
      if (values === 'none') return [];
      const reply =
        values === 'path'
          ? 'COMPREPLY=($(compgen -f -- "$cur"))'
          : values === 'other'
            ? 'COMPREPLY=()'
            : `COMPREPLY=($(compgen -W ${quoted(values.join(' '))} -- "$cur"))`;
      return [`        ${namesOf(option).join('|')}) ${reply}; return ;;`];
    });
    const words = optionsOf(command).flatMap(namesOf).join(' ');
    const operands = operandsOf(command);
    return [
      `    ${command.name()})`,
      '      case "$prev" in',
      ...withValues,
      '      esac',
      `      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W ${quoted(words)} -- "$cur"))`,
      operands === 'path'
        ? '      else COMPREPLY=($(compgen -f -- "$cur")); fi ;;'
        : `      else COMPREPLY=($(compgen -W ${quoted(operands.join(' '))} -- "$cur")); fi ;;`,
    ];
  };
  const names = commands.map((command) => command.name()).join(' ');
  return [
    '# bash completion of ivit: ivit completion bash',
    '_ivit() {',
    '  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}',
    '  if [[ $COMP_CWORD -eq 1 ]]; then',
    `    COMPREPLY=($(compgen -W ${quoted(`${names} ${optionsOf(program).flatMap(namesOf).join(' ')}`)} -- "$cur"))`,
    '    return',
    '  fi',
    '  case ${COMP_WORDS[1]} in',
    ...commands.filter((command) => command.name() !== 'help').flatMap(optionCase),
    `    help) COMPREPLY=($(compgen -W ${quoted(names)} -- "$cur")) ;;`,
    '  esac',
    '}',
    'complete -o filenames -F _ivit ivit',
  ].join('\n');
}

function zshScript(program: Command): string {
  const commands = program.createHelp().visibleCommands(program);
  const described = (text: string): string => text.replace(/[[\]:\\]/g, String.raw`\$&`);
  const optionSpecs = (command: Command): string[] =>
    optionsOf(command).flatMap((option) => {
      const values = valuesOf(option);
      const value =
        values === 'none'
          ? ''
          : values === 'path'
            ? ':file:_files'
            : values === 'other'
              ? ':value: '
              : `:value:(${values.join(' ')})`;
      return namesOf(option).map((name) => quoted(`${name}[${described(option.description)}]${value}`));
    });
  const commandCase = (command: Command): string[] => {
    const operands = operandsOf(command);
    const rest =
      operands === 'path' ? ["'*:file:_files'"] : operands.length === 0 ? [] : [`'1:value:(${operands.join(' ')})'`];
    return [`    ${command.name()}) _arguments ${[...optionSpecs(command), ...rest].join(' \\\n        ')} ;;`];
  };
  return [
    '#compdef ivit',
    '# zsh completion of ivit: ivit completion zsh',
    '_ivit() {',
    '  if (( CURRENT == 2 )); then',
    '    local -a commands=(',
    ...commands.map((command) => `      ${quoted(`${command.name()}:${described(command.description())}`)}`),
    '    )',
    "    _describe 'command' commands",
    '    return',
    '  fi',
    '  local name=${words[2]}',
    '  shift words; (( CURRENT-- ))',
    '  case $name in',
    ...commands.filter((command) => command.name() !== 'help').flatMap(commandCase),
    `    help) _values 'command' ${commands.map((command) => command.name()).join(' ')} ;;`,
    '  esac',
    '}',
    'if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then _ivit "$@"; else compdef _ivit ivit; fi',
  ].join('\n');
}

function fishScript(program: Command): string {
  const commands = program.createHelp().visibleCommands(program);
  const line = (...parts: string[]): string => ['complete -c ivit', ...parts].join(' ');
  const optionLine = (option: Option, condition: string): string => {
    const values = valuesOf(option);
    const value =
      values === 'none'
        ? []
        : values === 'path'
          ? ['-r', '-F']
          : values === 'other'
            ? ['-x']
            : ['-x', '-a', quoted(values.join(' '))];
    const { short, long } = option;
    const names = [...(short == null ? [] : ['-s', short.slice(1)]), ...(long == null ? [] : ['-l', long.slice(2)])];
    return line('-n', quoted(condition), ...names, '-d', quoted(option.description), ...value);
  };
  return [
    '# fish completion of ivit: ivit completion fish',
    ...commands.map((command) =>
      line('-n', '__fish_use_subcommand', '-f', '-a', command.name(), '-d', quoted(command.description())),
    ),
    ...optionsOf(program).map((option) => optionLine(option, '__fish_use_subcommand')),
    ...commands.flatMap((command) => {
      const condition = `__fish_seen_subcommand_from ${command.name()}`;
      const operands = operandsOf(command);
      const words = operands === 'path' ? [] : [line('-n', quoted(condition), '-f', '-a', quoted(operands.join(' ')))];
      return [...optionsOf(command).map((option) => optionLine(option, condition)), ...words];
    }),
  ].join('\n');
}
