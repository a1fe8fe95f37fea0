import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { isReserved } from '../../../src/export/c/reserved.js';
import { HOST } from './compile.js';

const INCLUDES = '#include <limits.h>\n#include <stdint.h>\n';
const { stdout } = spawnSync(HOST ?? 'cc', ['-std=gnu2x', '-D_GNU_SOURCE', '-dM', '-E', '-'], {
  input: INCLUDES,
  encoding: 'utf8',
});
const WIDTHS = [...(stdout ?? '').matchAll(/^#define ([A-Z]\w*)_WIDTH /gm)].map(([, type]) => type);

describe('names that an export must not have', () => {
  it.skipIf(WIDTHS.length === 0)('are those of types whose width C has a macro for', () => {
    expect(WIDTHS).toContain('INT8');
    expect(WIDTHS.filter((type) => !isReserved(type))).toEqual([]);
  });

  it('are those of headers and devices, in any case', () => {
    expect(['stdint', 'Signal', 'AUX', 'com1'].filter((name) => !isReserved(name))).toEqual([]);
  });

  it('are no others', () => {
    expect(['deit_tiny', 'int8_model', 'my_int', 'scenes', 'com10', 'main'].filter(isReserved)).toEqual([]);
  });
});
