import { InputError } from '../errors.js';
import { BACKENDS } from './types.js';
import type { BackendName } from './types.js';

/** What to do about a backend that does not load. */
const ADVICE: Record<BackendName, string> = {
  native: '`npx ivit build-native` compiles it where there is a C compiler',
  wasm: 'install ivit again, or, in a clone, build it with `npm run build`',
  reference: 'it needs nothing',
};

/** Loads what a backend needs; failures here lead on to the next, those of the function that it gives do not. */
type Loader<Make> = () => Make | Promise<Make>;

/**
 * Loads the backend asked for, or the first of native, wasm, reference that loads.
 *
 * @returns what makes the thing wanted on that backend
 * @throws InputError that says what was tried, why it failed and what to do
 */
export async function loadBackend<Make>(
  wanted: BackendName | undefined,
  loaders: Record<BackendName, Loader<Make>>,
): Promise<Make> {
  const failures: string[] = [];
  for (const backend of wanted === undefined ? BACKENDS : [wanted]) {
    try {
      return await loaders[backend]();
    } catch (error) {
      const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
      failures.push(`the ${backend} backend does not load (${reason}): ${ADVICE[backend]}`);
    }
  }
  throw new InputError(`No way to run the model: ${failures.join('; ')}`, { code: 'NO_BACKEND' });
}
