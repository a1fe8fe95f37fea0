/**
 * Random and extreme cases of each op, on every engine of this machine, against the specification in src/kernels. One
 * element of a result is a case. Prints how many of each op were the same; ends with 1 at the first that is not.
 *
 *   npm run test:cases -- [cases] [seed] [ops]
 */
import fc from 'fast-check';
import { compileWasm, loadNativeKernels } from '../../src/engine/load.js';
import { createNativeRunner } from '../../src/engine/native.js';
import { runOp } from '../../src/engine/reference.js';
import type { OpRunner, Value } from '../../src/engine/types.js';
import { createWasmRunner } from '../../src/engine/wasm.js';
import { WASM_ISAS } from '../../src/engine/wasm-module.js';
import { ALGEBRA_CASES } from '../../test/engine/random-algebra.js';
import { MAP_CASES } from '../../test/engine/random-map-ops.js';
import { CASES, type OpCase } from '../../test/engine/random-ops.js';

/** Ops drawn at a time. */
const DRAWN = 100;

const GENERATORS: Readonly<Record<string, fc.Arbitrary<OpCase>>> = { ...CASES, ...ALGEBRA_CASES, ...MAP_CASES };

const [cases = '100000', seed = '1', names = Object.keys(GENERATORS).join()] = process.argv.slice(2);

interface Runner {
  readonly name: string;
  readonly runner: OpRunner;
}

async function everyRunner(): Promise<Runner[]> {
  const kernels = loadNativeKernels();
  const runners = kernels.isas().map((isa) => ({ name: `native ${isa}`, runner: createNativeRunner(kernels, isa) }));
  for (const isa of WASM_ISAS) {
    const module = await compileWasm(isa);
    if (module !== null) runners.push({ name: `wasm ${isa}`, runner: createWasmRunner(module) });
  }
  return runners;
}

function isSame(a: Value, b: Value): boolean {
  const equal = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    x.length === y.length && Array.prototype.every.call(x, (value: number, i: number) => value === y[i]);
  return equal(a.data, b.data) && equal(a.rowScale ?? [], b.rowScale ?? []);
}

/** @returns how many elements it has */
function compare({ op, operands, input }: OpCase, runners: readonly Runner[]): number {
  const expected = runOp(op, operands, input);
  for (const { name, runner } of runners) {
    const loaded = runner.load(op, operands, input);
    const found = loaded.run(operands);
    loaded.free();
    if (!isSame(found, expected)) throw new Error(`${name} differs from the specification: ${op.op}`);
  }
  return expected.data.length;
}

const runners = await everyRunner();
process.stdout.write(`seed ${seed}; ${runners.map(({ name }) => name).join(', ')}\n`);
for (const name of names.split(',')) {
  const start = performance.now();
  let elements = 0;
  let ops = 0;
  for (let batch = 0; elements < Number(cases); batch++)
    for (const one of fc.sample(GENERATORS[name], { seed: Number(seed) + 1000 * batch, numRuns: DRAWN })) {
      elements += compare(one, runners);
      ops++;
    }
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  process.stdout.write(`${name}: ${elements} cases in ${ops} ops, all the same, ${seconds} s\n`);
}
