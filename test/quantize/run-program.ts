import { createOpRunner } from '../../src/engine/runner.js';
import type { Value } from '../../src/engine/types.js';
import { imageValue } from '../../src/engine/values.js';
import { operandsOf } from '../../src/program/operands.js';
import type { Program } from '../../src/program/types.js';

/** The integer output of a program for each image, op by op on one backend. */
export async function runProgram(
  program: Program,
  backend: 'wasm' | 'reference',
  images: readonly Uint8Array[],
): Promise<Int32Array[]> {
  const runner = await createOpRunner(backend);
  const results = images.map((pixels) => {
    const values: Value[] = [imageValue(program.input, pixels)];
    for (const op of program.ops) {
      const operands = operandsOf(op).map((id) => values[id]);
      const loaded = runner.load(op, operands, program.input);
      values.push(loaded.run(operands));
      loaded.free();
    }
    return values[program.output].data as Int32Array;
  });
  runner.close();
  return results;
}
