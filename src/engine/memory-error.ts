import { InputError } from '../errors.js';

/**
 * What ends the loading of a program whose plan was found to fit: C finds that it does not, or the machine has not as
 * much memory as it may use. WebAssembly says so by a trap, or where its memory cannot grow.
 */
export function memoryError(error: unknown): unknown {
  const { name, message } = error as Error;
  if (message === 'Cannot start the threads')
    return new InputError('This machine does not start as many threads; ask for fewer with --threads', {
      cause: error,
      code: 'NO_MEMORY',
    });
  const isMemory = (name === 'RuntimeError' && /unreachable/.test(message)) || /memory|Array buffer/i.test(message);
  return isMemory
    ? new InputError(
        'There is not enough memory to run the model: ask for fewer threads (--threads), or close other programs',
        { cause: error, code: 'NO_MEMORY' },
      )
    : error;
}
