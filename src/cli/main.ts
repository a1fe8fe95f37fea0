/** The command line: parses, calls, and turns failures into one line and an exit code. */
import { Command, CommanderError } from 'commander';
import { CheckError, ExitCode, InputError, UsageError } from '../errors.js';
import { VERSION } from '../api/version.js';
import { oneLine } from './render.js';

const EXIT_CODES = `
Exit codes: 0 done, 2 wrong usage, 3 bad input (model, image, dataset), 1 a fault of ivit.
`;
/** 128 + the signal's number, as shells report it. */
const INTERRUPTED = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Each command's module, loaded when it is called, or when help lists them all: loading takes longer than errors. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  quantize: async () => (await import('./quantize.js')).addQuantizeCommand,
  infer: async () => (await import('./infer.js')).addInferCommand,
  eval: async () => (await import('./eval.js')).addEvalCommand,
  merge: async () => (await import('./merge.js')).addMergeCommand,
  verify: async () => (await import('./verify.js')).addVerifyCommand,
  report: async () => (await import('./report.js')).addReportCommand,
  inspect: async () => (await import('./inspect.js')).addInspectCommand,
  diff: async () => (await import('./diff.js')).addDiffCommand,
  label: async () => (await import('./label.js')).addLabelCommand,
  export: async () => (await import('./export.js')).addExportCommand,
  serve: async () => (await import('./serve.js')).addServeCommand,
  bench: async () => (await import('./bench.js')).addBenchCommand,
  doctor: async () => (await import('./doctor.js')).addDoctorCommand,
  'build-native': async () => (await import('./build-native.js')).addBuildNativeCommand,
};

async function createProgram(): Promise<Command> {
  const program = new Command('ivit')
    .description('Integer-only Vision Transformers: quantizes float ONNX models without training, and runs them.')
    .version(VERSION)
    .option('--debug', 'show where an error comes from')
    .addHelpText('after', EXIT_CODES)
    .showHelpAfterError('(--help shows how to use it)')
    .exitOverride();
  const called = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  const names = called !== undefined && Object.hasOwn(COMMANDS, called) ? [called] : Object.keys(COMMANDS);
  for (const name of names) (await COMMANDS[name]())(program);
  for (const command of program.commands) command.option('--debug', 'show where an error comes from');
  return program;
}

async function main(): Promise<void> {
  for (const [signal, code] of Object.entries(INTERRUPTED)) process.once(signal, () => process.exit(code));
  process.stdout.on('error', endWithoutOutput);
  // Nobody hears what cannot be told: what the command does goes on.
  process.stderr.on('error', () => undefined);
  try {
    await (await createProgram()).parseAsync();
  } catch (error) {
    process.exitCode = report(error, process.argv.includes('--debug'));
  }
}

/** A reader that has seen enough (head, say) is no error; a full disk is. */
function endWithoutOutput({ code, message }: NodeJS.ErrnoException): never {
  if (code === 'EPIPE') process.exit(ExitCode.done);
  const reason = code === 'ENOSPC' ? 'no space left on its disk' : message;
  process.stderr.write(`error: Cannot write to standard output: ${oneLine(reason)}\n`);
  process.exit(ExitCode.badInput);
}

/** @returns the exit code */
function report(error: unknown, debug: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  const isExpected =
    error instanceof InputError || error instanceof UsageError || error instanceof CheckError || isOfSystem(error);
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`error: ${oneLine(message.replace(/\s*\n\s*/g, ' '))}\n`);
  if (debug) process.stderr.write(`${describeCauses(error)}\n`);
  else if (!isExpected)
    process.stderr.write('This is a fault of ivit: please report it with what --debug adds to this message.\n');
  if (!isExpected) return ExitCode.fault;
  return 'exitCode' in error ? error.exitCode : ExitCode.badInput;
}

/** What the system did not let be done with a file: no memory, no permission, a circle of links, a full disk. */
function isOfSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

function describeCauses(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by ${describeCauses(error.cause)}`;
}

await main();
