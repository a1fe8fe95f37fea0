/** Checks that a program is one that engines can run: shapes, types, lengths, ranges, indices in bounds. */
import { InputError } from '../errors.js';
import type { TensorData } from './container.js';
import { OpCheck, isCount } from './check.js';
import { MAX_ELEMENTS, MAX_INPUT_CHANNELS, MAX_INPUT_EDGE, MAX_OPS } from './limits.js';
import { definitionOf, type Op } from './ops/index.js';
import type { Surroundings } from './ops/definition.js';
import type { Program } from './types.js';
import { tensorsOf } from './tensors.js';
import { elements, type ValueInfo } from './value.js';

/** Type and shape of every value: the image, then what each op writes. */
export function valuesOf(program: Program): ValueInfo[] {
  const { height, width, channels } = program.input;
  return [{ out: { type: 'u8', zero: 0 }, rows: height * width, cols: channels }, ...program.ops];
}

/**
 * Refuses a program that breaks a rule of docs/format.md. Every number in it counts as untrusted; what passes can be
 * run by any engine without reading or writing outside a value. Overflow is another matter: see `proveNoOverflow`.
 *
 * @throws InputError naming the op and the rule
 */
export function validateProgram(program: Program): void {
  const { input, ops, output } = program;
  if (!isCount(input.height, 1, MAX_INPUT_EDGE) || !isCount(input.width, 1, MAX_INPUT_EDGE)) {
    throw new InputError(
      `The program's input of ${input.height}×${input.width} pixels is not within 1 to ${MAX_INPUT_EDGE} a side`,
    );
  }
  if (!isCount(input.channels, 1, MAX_INPUT_CHANNELS)) {
    throw new InputError(`The program's input has ${input.channels} channels, not 1 to ${MAX_INPUT_CHANNELS}`);
  }
  const inputElements = input.height * input.width * input.channels;
  if (inputElements > MAX_ELEMENTS)
    throw new InputError(`The program's input of ${inputElements} elements is larger than ${MAX_ELEMENTS}`);
  if (ops.length === 0 || ops.length > MAX_OPS)
    throw new InputError(`The program has ${ops.length} ops, not 1 to ${MAX_OPS}`);

  const values = valuesOf(program);
  const names = new Set<string>();
  ops.forEach((op, i) => {
    const check = new OpCheck(op);
    check.that(op.name.length > 0 && !names.has(op.name), 'its name is empty or not unique');
    names.add(op.name);
    validateOp(op, check, { input, values, ops, index: i });
  });
  if (!isCount(output, 1, ops.length))
    throw new InputError(`The program's output is value ${output}, which does not exist`);
  const type = values[output].out.type;
  if (type !== 'i32') throw new InputError(`The program's output has type ${type}, not i32`);
}

function validateOp(op: Op, check: OpCheck, surroundings: Surroundings): void {
  const { index } = surroundings;
  const { operands, validate } = definitionOf(op);
  check.that(
    isCount(op.rows, 1, MAX_ELEMENTS) && isCount(op.cols, 1, MAX_ELEMENTS),
    `its shape [${op.rows}, ${op.cols}] is not valid`,
  );
  check.that(elements(op) <= MAX_ELEMENTS, `its value of ${elements(op)} elements is larger than ${MAX_ELEMENTS}`);
  if (op.out.type === 'u8')
    check.that(isCount(op.out.zero, 0, 255), `its zero point ${op.out.zero} is not within 0 to 255`);
  for (const id of operands(op)) {
    check.that(isCount(id, 0, index), `it reads value ${id}; only values 0 to ${index} exist before it`);
  }
  for (const [field, data] of tensorsOf(op)) refuseMostNegative(field, data, check);
  validate(op, check, surroundings);
}

/** The most negative integer of a type has no magnitude of that type: no tensor may hold it. */
function refuseMostNegative(field: string, array: TensorData, check: OpCheck): void {
  const at = placeOfMostNegative(array);
  check.that(at < 0, `${field}[${at}] is the most negative integer of its type, which the format excludes`);
}

function placeOfMostNegative(array: TensorData): number {
  if (array instanceof Int32Array) return array.indexOf(-(2 ** 31));
  if (array instanceof BigInt64Array) return array.indexOf(-(1n << 63n));
  if (array instanceof Int16Array) return array.indexOf(-(2 ** 15));
  // Weights have a range of their own, which excludes it.
  return -1;
}
