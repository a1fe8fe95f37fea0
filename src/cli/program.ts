/** The command line as a tree of commands: what help, completion, the man page and the schema are made from. */
import { Command } from 'commander';
import { VERSION } from '../api/version.js';
import { UsageError } from '../errors.js';
import { suggestion } from '../names.js';
import { addConfigOption } from './config.js';
import { isRepeatable } from './options.js';
import { complain, notice } from './render.js';

/** Each command's module, loaded when it is called, or when help lists them all: loading takes longer than errors. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  quantize: async () => (await import('./quantize.js')).addQuantizeCommand,
  infer: async () => (await import('./infer.js')).addInferCommand,
  eval: async () => (await import('./eval.js')).addEvalCommand,
  merge: async () => (await import('./merge.js')).addMergeCommand,
  verify: async () => (await import('./verify.js')).addVerifyCommand,
  report: async () => (await import('./report.js')).addReportCommand,
  compare: async () => (await import('./compare.js')).addCompareCommand,
  inspect: async () => (await import('./inspect.js')).addInspectCommand,
  diff: async () => (await import('./diff.js')).addDiffCommand,
  label: async () => (await import('./label.js')).addLabelCommand,
  export: async () => (await import('./export.js')).addExportCommand,
  serve: async () => (await import('./serve.js')).addServeCommand,
  bench: async () => (await import('./bench.js')).addBenchCommand,
  doctor: async () => (await import('./doctor.js')).addDoctorCommand,
  completion: async () => (await import('./completion.js')).addCompletionCommand,
  'build-native': async () => (await import('./build-native.js')).addBuildNativeCommand,
};

const DEBUG = ['--debug', 'show where an error comes from'] as const;

export const EXIT_CODES =
  'Exit codes: 0 done, 2 wrong usage, 3 bad input (model, image, dataset),\n4 a check failed, 1 a fault of ivit.';

/** Commands that tell of all others. */
const NEED_ALL = ['completion'];

/** The one command that is needed for these arguments; undefined: all are, or there is no such command. */
export function calledCommand(args: readonly string[]): string | undefined {
  const called = args.find((argument) => !argument.startsWith('-'));
  return called !== undefined && Object.hasOwn(COMMANDS, called) && !NEED_ALL.includes(called) ? called : undefined;
}

/** @throws UsageError where help is asked for of no command */
export function checkHelp([first, name]: readonly string[]): void {
  if (first !== 'help' || name === undefined || name.startsWith('-') || Object.hasOwn(COMMANDS, name)) return;
  const names = Object.keys(COMMANDS);
  throw new UsageError(`There is no command ${name}${suggestion(name, names) || `; there are ${names.join(', ')}`}`);
}

/** @param only the one command that is needed; default: all */
export async function createProgram(only?: string): Promise<Command> {
  const program = new Command('ivit')
    .description('Integer-only Vision Transformers: quantizes float ONNX models without training, and runs them.')
    .version(VERSION)
    .option(...DEBUG)
    .addHelpText('after', `\nivit help COMMAND shows a command's options and examples.\n\n${EXIT_CODES}`)
    .configureOutput({ outputError: (text) => complain('error', inOneLine(text)) })
    .showHelpAfterError('(ivit --help lists the commands)')
    .exitOverride();
  for (const name of only === undefined ? Object.keys(COMMANDS) : [only]) (await COMMANDS[name]!())(program);
  for (const command of program.commands) {
    addConfigOption(command);
    command.option(...DEBUG).showHelpAfterError(`(ivit help ${command.name()} shows how to use it)`);
  }
  return program;
}

/** Says so where an option that takes one value is given several: the last counts. */
export function noticeRepeated({ commands }: Command): void {
  for (const command of commands)
    for (const option of command.options.filter(({ required, optional }) => required || optional)) {
      if (isRepeatable(option)) continue;
      let earlier: string | null | undefined;
      command.on(`option:${option.name()}`, (value: string | null) => {
        if (earlier !== undefined && value !== earlier)
          notice(`${option.long} is given more than once: ${value} counts, ${earlier} does not`);
        earlier = value;
      });
    }
}

/** Commander's messages, which begin with `error: ` and end in a line that suggests something. */
function inOneLine(text: string): string {
  return text
    .trim()
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)$/, '; did you mean $1?')
    .replace(/^unknown command '(.*\.onnx)'$/, "unknown command '$1'; did you mean ivit quantize $1?")
    .replace(/^too many arguments .*$/, '$& Options take one value: 1,2,3 for lists, quotes for patterns.');
}
