/** The command line: parses, calls, and turns failures into one line and an exit code. */
import { CommanderError } from 'commander';
import { CheckError, ExitCode, InputError, UsageError } from '../errors.js';
import { namesConfig, withConfig } from './config.js';
import { exitOnSignals } from './interrupt.js';
import { calledCommand, checkHelp, createProgram, noticeRepeated } from './program.js';
import { complain } from './render.js';

async function main(): Promise<void> {
  exitOnSignals();
  process.stdout.on('error', endWithoutOutput);
  // Nobody hears what cannot be told: what the command does goes on.
  process.stderr.on('error', () => undefined);
  try {
    const args = process.argv.slice(2);
    checkHelp(args);
    const called = calledCommand(args);
    const all = namesConfig(args) ? withConfig(await createProgram(called), args) : args;
    const program = await createProgram(called);
    noticeRepeated(program);
    await program.parseAsync(all, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, process.argv.includes('--debug'));
  }
}

/** A reader that has seen enough (head, say) is no error; a full disk is. */
function endWithoutOutput({ code, message }: NodeJS.ErrnoException): never {
  if (code === 'EPIPE') process.exit(ExitCode.done);
  const reason = code === 'ENOSPC' ? 'no space left on its disk' : message;
  complain('error', `Cannot write to standard output: ${reason}`);
  process.exit(ExitCode.badInput);
}

/** @returns the exit code */
function report(error: unknown, debug: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  const isExpected =
    error instanceof InputError || error instanceof UsageError || error instanceof CheckError || isOfSystem(error);
  const message = error instanceof Error ? error.message : String(error);
  complain('error', message.replace(/\s*\n\s*/g, ' '));
  if (debug) process.stderr.write(`${describeCauses(error)}\n`);
  else if (!isExpected)
    complain('note', 'This is a fault of ivit: please report it with what --debug adds to this message.');
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
