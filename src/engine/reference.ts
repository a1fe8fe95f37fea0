import type { Op, Program } from '../program/types.js';
import { engineOpOf } from './ops/index.js';
import { traceProgram } from './trace.js';
import type { Engine, OpRunner, Value } from './types.js';
import { checkOperands } from './values.js';

/** Runs one op with `src/kernels`: slow, readable, what every other backend must equal bit for bit. */
export function runOp(op: Op, operands: readonly Value[], input: Program['input']): Value {
  return engineOpOf(op).run(op, operands, input);
}

export function createReferenceRunner(): OpRunner {
  return {
    backend: 'reference',
    load: (op, specs, input) => ({
      run(operands) {
        checkOperands(specs, operands);
        return runOp(op, operands, input);
      },
      free: () => undefined,
    }),
    close: () => undefined,
  };
}

/** Runs a program op by op; a value is dropped after its last reader. */
export function createReferenceEngine(program: Program): Engine {
  const runner = createReferenceRunner();
  const run = async (pixels: Uint8Array): Promise<Int32Array> => traceProgram(program, runner, pixels, () => undefined);
  return {
    backend: 'reference',
    isa: 'typescript',
    threads: 1,
    run,
    runAll: async (images) => {
      const outputs: Int32Array[] = [];
      for (const image of images) outputs.push(await run(image));
      return outputs;
    },
    close: async () => undefined,
  };
}
