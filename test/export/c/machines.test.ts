import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, describe, test } from 'vitest';
import { cTarget } from '../../../src/export/c/index.js';
import { sliceSources } from '../../../src/export/c/sources.js';
import { loadModel } from '../../../src/program/file.js';
import { tinyPaperProgram, tinyProductProgram } from '../../program/tiny.js';
import {
  MACHINES,
  REQUIRED,
  SCALAR_MACHINES,
  VECTOR_MACHINES,
  build,
  floatInstructions,
  linkerOf,
  missingTools,
  ownFlags,
  runIn,
  undefinedSymbols,
} from '../../../tools/measure/deploy/targets.js';
import { SCENES_MODEL } from '../../scenes.js';
import { STRICT, exportProgram, unpack } from './compile.js';

const DOT = readFileSync(path.join(import.meta.dirname, 'dot.c'), 'utf8');

/** What a program may take from elsewhere: its weights, copying, and the compiler's arithmetic on integers. */
const ALLOWED = new RegExp(
  [
    '^(model_\\w+',
    'mem(cpy|move|set|cmp)',
    '__aeabi_(u?l?divmod|u?idiv|lmul|ll?sl|ll?sr|lasr|mem\\w+)',
    '__(u?(div|mod)|mul|ash[lr]|lshr|clz)[sdt]i[23])$',
  ].join('|'),
);

/** The products of rows alone, with their test. */
function unpackProducts(): string {
  const products = sliceSources(['dot_bytes', 'dot_signed', 'dot_shorts']);
  const kernels = `#include <stddef.h>\n#include <stdint.h>\n${products}\n`;
  const content = { 'dot_kernels.h': kernels, 'dot.c': DOT };
  return unpack({ files: new Map(Object.entries(content)) });
}

describe.each(MACHINES)('exported C on $name', (machine) => {
  const missing = missingTools(machine);
  const it = test.skipIf(missing.length > 0);

  it('gives the digests of the fixture, without an instruction on floats or a library', async () => {
    const model = await loadModel(SCENES_MODEL);
    const folder = unpack(await cTarget.write({ model, name: 'model', options: {} }));
    build(folder, machine, { name: 'model', optimize: '-Os' });
    expect(runIn(folder, machine.run).match(/: ok$/gm)).toHaveLength(3);
    expect(floatInstructions(folder, machine, 'model.o')).toEqual([]);
    expect(undefinedSymbols(folder, machine, 'model.o').filter((symbol) => !ALLOWED.test(symbol))).toEqual([]);
    expect(undefinedSymbols(folder, machine, 'model_memory.o')).toEqual([]);
  });

  it('gives exact products of rows', () => {
    const folder = unpackProducts();
    runIn(folder, [machine.compiler, ...STRICT, '-O2', ...machine.flags, '-DKERNELS', '-c', 'dot.c']);
    const library = machine.specs === undefined ? [] : [`--specs=${machine.specs}`];
    const inputs = ['dot.c', 'dot.o', ...library, ...machine.link(folder)];
    runIn(folder, [...linkerOf(machine), ...STRICT, '-O2', '-o', 'test.elf', ...inputs]);
    expect(runIn(folder, machine.run)).toMatch(/^2112 runs, 0 wrong$/m);
    expect(floatInstructions(folder, machine, 'dot.o')).toEqual([]);
  });

  it('would be found out if it had floats', () => {
    const folder = unpack({ files: new Map([['float.c', 'double f(double a, double b) { return a * b + a; }\n']]) });
    runIn(folder, [machine.compiler, '-O2', ...ownFlags(machine), '-c', 'float.c']);
    const foreign = undefinedSymbols(folder, machine, 'float.o').filter((symbol) => !ALLOWED.test(symbol));
    expect([...floatInstructions(folder, machine, 'float.o'), ...foreign]).not.toEqual([]);
  });

  // Skipped tests say what they would need.
  test.runIf(missing.length > 0)(`is not tested: there is no ${missing.join(', no ')}`, () => undefined);
});

describe.each(SCALAR_MACHINES)('exported C on $name', (machine) => {
  const it = test.skipIf(missingTools(machine).length > 0);

  it('gives the integers of other ops', async () => {
    for (const program of [tinyPaperProgram(), tinyProductProgram()]) {
      const folder = unpack(await exportProgram(program, { tile: 2 }));
      build(folder, machine, { name: 'model', optimize: '-O2' });
      expect(runIn(folder, machine.run).match(/: ok$/gm)).toHaveLength(3);
      expect(floatInstructions(folder, machine, 'model.o')).toEqual([]);
    }
  });
});

describe.each(VECTOR_MACHINES)('exported C on $name', (machine) => {
  const it = test.skipIf(missingTools(machine).length > 0);

  it('takes other instructions than plain C', () => {
    const folder = unpackProducts();
    const code = ['-DIVIT_PORTABLE', '-UIVIT_PORTABLE'].map((form) => {
      runIn(folder, [machine.compiler, ...REQUIRED, '-Os', ...machine.flags, form, '-DKERNELS', '-c', 'dot.c']);
      return runIn(folder, [`${machine.prefix}objdump`, '-d', 'dot.o']);
    });
    expect(code[0]).not.toBe(code[1]);
  });
});
