import { describe, expect, it } from 'vitest';
import { makeOnBackend } from '../../src/engine/backends.js';
import { InputError } from '../../src/errors.js';

const loads = (name: string) => () => () => name;
const fails = (): never => {
  throw new Error('no such file\nand a stack');
};

describe('makeOnBackend', () => {
  it('takes native, then wasm, then reference', async () => {
    expect(await makeOnBackend(undefined, { native: loads('native'), wasm: loads('wasm'), reference: loads('reference') })).toBe('native');
    expect(await makeOnBackend(undefined, { native: fails, wasm: loads('wasm'), reference: loads('reference') })).toBe('wasm');
    expect(await makeOnBackend(undefined, { native: fails, wasm: fails, reference: loads('reference') })).toBe('reference');
  });

  it('takes no other than the one asked for, and says what to do', async () => {
    const making = makeOnBackend('native', { native: fails, wasm: loads('wasm'), reference: loads('reference') });
    await expect(making).rejects.toThrow(InputError);
    await expect(making).rejects.toThrow('the native backend does not load (no such file): build it with `npm run build` on a machine with a C compiler');
  });

  it('does not take an error in the making for a backend that is missing', async () => {
    const making = makeOnBackend(undefined, { native: () => fails, wasm: loads('wasm'), reference: loads('reference') });
    await expect(making).rejects.toThrow('no such file');
  });
});
