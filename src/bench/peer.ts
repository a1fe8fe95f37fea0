/** Another program that runs a model, timed in turns with ours. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { InputError, UsageError } from '../errors.js';
import type { Contender } from './measure.js';

/** Milliseconds in which a peer that was told to end has to; after that it is killed. */
const PATIENCE = 2000;
/** Whether a shell and what it starts can be told to end together. */
const HAS_GROUPS = process.platform !== 'win32';
/** Bytes of what it says on stderr that an error may quote. */
const TOLD = 500;

/**
 * Starts a command, once. For each line that it reads on its standard input it runs one image, and then writes a line.
 * When its input ends, it ends.
 *
 * @throws InputError where it does not start, or ends before it has answered
 */
export async function peerContender(command: string): Promise<Contender> {
  if (command.trim() === '') throw new UsageError('--peer needs a command: the line that starts the other program');
  const child = spawn(command, { shell: true, detached: HAS_GROUPS, stdio: ['pipe', 'pipe', 'pipe'] });
  const told = lastWords(child);
  const gone = new Promise<never>((_, reject) => {
    const fail = (why: string): void => {
      const words = told() === '' ? '' : `: ${told()}`;
      const text = `The peer ${JSON.stringify(command)} ${why}${words}. It must write one line for each that it reads`;
      reject(new InputError(text, { code: 'BAD_SETTING' }));
    };
    child.on('error', (error) => fail(`cannot be started (${error.message})`));
    child.on('exit', (code, signal) => fail(`ended with ${signal ?? `exit code ${code}`}`));
  });
  gone.catch(() => undefined); // it may end when nobody waits for it
  child.stdin.on('error', () => undefined); // a pipe that is closed: `gone` says why
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const run = async (): Promise<void> => {
    child.stdin.write('run\n');
    const { done } = await Promise.race([answers.next(), gone]);
    if (done === true) await gone;
  };
  await run();
  return {
    runtime: command,
    precision: 'peer',
    threads: null,
    sqnrDb: null,
    run,
    runMany: async (count) => {
      for (let i = 0; i < count; i++) await run();
    },
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const timer = setTimeout(() => killAll(child), PATIENCE);
      child.stdin.end();
      await once(child, 'exit');
      clearTimeout(timer);
    },
  };
}

/** Kills a shell, and what it started. */
function killAll(child: ChildProcess): void {
  if (HAS_GROUPS) process.kill(-child.pid!, 'SIGKILL');
  else child.kill('SIGKILL');
}

/** The last line of what a process wrote to stderr so far. */
function lastWords({ stderr }: ChildProcess): () => string {
  let text = '';
  stderr!.setEncoding('utf8').on('data', (some: string) => (text = (text + some).slice(-TOLD)));
  return () => text.trim().split('\n').at(-1)!;
}
