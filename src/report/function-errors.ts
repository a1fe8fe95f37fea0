/** The nonlinear functions of an integer program beside the exact ones, on the integers that they get. */
import { traceProgram } from '../engine/trace.js';
import type { OpRunner, Value } from '../engine/types.js';
import { activations } from '../graph/activations.js';
import type { AttentionOp, Op, Program } from '../program/types.js';
import { FINE_NORM, type FunctionOp } from '../quantize/functions.js';
import { ErrorMeter } from './errors.js';
import { SoftmaxErrors } from './softmax-errors.js';
import type { FunctionError } from './types.js';

/** Which of the functions it is: of norms the kind is LayerNorm or, where the mean stays, RMSNorm. */
export interface ProgramFunctionError extends FunctionError {
  readonly function: FunctionOp['function'];
}

/** @param images u8 HWC pixels of the program's input size */
export async function functionErrors(
  program: Program,
  functions: readonly FunctionOp[],
  runner: OpRunner,
  images: readonly Uint8Array[],
): Promise<ProgramFunctionError[]> {
  const byName = new Map(functions.map((one) => [one.name, one]));
  const meters = new Map(functions.map(({ name }) => [name, new ErrorMeter()]));
  const softmax = new SoftmaxErrors();
  for (const pixels of images) {
    traceProgram(program, runner, pixels, (op, operands) => {
      const found = byName.get(op.name);
      if (found === undefined) return;
      if (found.function === 'softmax') {
        const [q, k] = operands.map(({ data }) => data as Int8Array);
        softmax.add(op as AttentionOp, { q, k }, found);
        return;
      }
      const meter = meters.get(op.name)!;
      const got = runFinely(found.fine, operands, runner, program);
      const step = found.function === 'norm' ? FINE_NORM : found.fineUnit;
      const exact = found.function === 'norm' ? exactNorm(found, operands[0]) : exactActivation(found, operands[0]);
      exact.forEach((value, i) => meter.add(value, got.data[i] * step));
    });
    await new Promise(setImmediate); // let signals and the progress bar through
  }
  const ofSoftmax = new Map(softmax.errors().map((error) => [error.name, error]));
  return functions.map((one): ProgramFunctionError => {
    const { name } = one;
    if (one.function === 'softmax') return { function: 'softmax', ...ofSoftmax.get(name)! };
    const kind = one.function === 'activation' ? one.kind : one.center ? 'LayerNorm' : 'RMSNorm';
    return { function: one.function, name, kind, ...meters.get(name)!.result() };
  });
}

function runFinely(op: Op, operands: readonly Value[], runner: OpRunner, { input }: Program): Value {
  const loaded = runner.load(op, operands, input);
  try {
    return loaded.run(operands);
  } finally {
    loaded.free();
  }
}

function exactActivation(
  { kind, input: { scale, center } }: Extract<FunctionOp, { function: 'activation' }>,
  { data, cols }: Value,
): Float64Array {
  const { apply } = activations[kind];
  return Float64Array.from(data, (q, i) => apply(q * scale[i % cols] + center[i % cols]));
}

function exactNorm(
  { center, epsilon, unit, inputUnit }: Extract<FunctionOp, { function: 'norm' }>,
  { data, rows, cols }: Value,
): Float64Array {
  const result = new Float64Array(data.length);
  for (let at = 0; at < rows * cols; at += cols) {
    const row = Float64Array.from(data.subarray(at, at + cols), (q) => q * inputUnit);
    const mean = center ? row.reduce((a, b) => a + b, 0) / cols : 0;
    const squares = row.reduce((sum, x) => sum + (x - mean) ** 2, 0);
    const factor = unit / Math.sqrt(squares + epsilon);
    row.forEach((x, c) => (result[at + c] = (x - mean) * factor));
  }
  return result;
}
