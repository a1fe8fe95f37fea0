import { describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/engine/backends.js';
import { InputError } from '../../src/errors.js';

const loads = (name: string) => () => name;
const fails = (): never => {
  throw new Error('no such file\nand a stack');
};

describe('loadBackend', () => {
  it('takes native, then wasm, then reference', async () => {
    expect(
      await loadBackend(undefined, { native: loads('native'), wasm: loads('wasm'), reference: loads('reference') }),
    ).toBe('native');
    expect(await loadBackend(undefined, { native: fails, wasm: loads('wasm'), reference: loads('reference') })).toBe(
      'wasm',
    );
    expect(await loadBackend(undefined, { native: fails, wasm: fails, reference: loads('reference') })).toBe(
      'reference',
    );
  });

  it('takes no other than the one asked for, and says what to do', async () => {
    const loading = loadBackend('native', { native: fails, wasm: loads('wasm'), reference: loads('reference') });
    await expect(loading).rejects.toThrow(InputError);
    await expect(loading).rejects.toThrow(
      'the native backend does not load (no such file): `npx ivit build-native` compiles it ' +
        'where there is a C compiler',
    );
  });
});
