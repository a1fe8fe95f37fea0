/** Runs a program op by op, to look at what lies between. The engines that run it whole lose no time to it. */
import { operandsOf } from '../program/operands.js';
import type { Op, Program } from '../program/types.js';
import type { OpRunner, Value } from './types.js';
import { imageData, imageValue, checkOperands } from './values.js';

/** Called after each op, with the values that it read and the one that it wrote. */
export type OpListener = (op: Op, operands: readonly Value[], result: Value, index: number) => void;

/**
 * Runs a program on one image, op by op; a value is dropped after its last reader.
 *
 * @param pixels u8 HWC of the program's input size
 * @param listener gets values that are dropped afterwards
 * @returns the output value
 */
export function traceProgram(program: Program, runner: OpRunner, pixels: Uint8Array, listener: OpListener): Int32Array {
  const lastReader = new Map<number, number>();
  program.ops.forEach((op, i) => operandsOf(op).forEach((id) => lastReader.set(id, i)));
  lastReader.set(program.output, program.ops.length);
  const image = imageValue(program.input, pixels);
  checkOperands([image], [imageData(pixels)]);
  const values: (Value | null)[] = [image];
  program.ops.forEach((op, i) => {
    const operands = operandsOf(op).map((id) => values[id] as Value);
    const loaded = runner.load(op, operands, program.input);
    values[i + 1] = loaded.run(operands);
    loaded.free();
    listener(op, operands, values[i + 1] as Value, i);
    for (const id of operandsOf(op)) if (lastReader.get(id) === i) values[id] = null;
  });
  return (values[program.output] as Value).data as Int32Array;
}
