/** What a program's output is: one output or several, scores of classes or numbers that classify nothing. */
import * as v from 'valibot';
import { COMPARISONS, distinctOutputs, outputSize, type ModelOutput } from '../metrics/output.js';
import { malformed, quote } from './container.js';
import { operandsOf } from './operands.js';
import { decimal, integer } from './ops/definition.js';
import type { Op, Program } from './types.js';

/** More than any network has; no work on hostile lists. */
const MAX_OUTPUTS = 1024;
const MAX_AXES = 8;
const MAX_STEPS = 4;

const axis = v.pipe(integer, v.minValue(0));
const step = v.variant('op', [
  v.strictObject({ op: v.literal('sigmoid') }),
  v.strictObject({ op: v.picklist(['softmax', 'logSoftmax', 'argMax']), axis }),
  v.strictObject({ op: v.picklist(COMPARISONS), than: decimal }),
  v.strictObject({
    op: v.picklist(['topValues', 'topIndices']),
    axis,
    count: v.nullable(v.pipe(integer, v.minValue(1))),
  }),
]);

/** The `outputs` of a file's metadata. */
export const outputsSchema = v.pipe(
  v.array(
    v.strictObject({
      name: v.string(),
      shape: v.pipe(v.array(v.pipe(integer, v.minValue(1))), v.maxLength(MAX_AXES)),
      start: v.pipe(integer, v.minValue(0)),
      tail: v.pipe(v.array(step), v.maxLength(MAX_STEPS)),
      isClasses: v.boolean(),
    }),
  ),
  v.maxLength(MAX_OUTPUTS),
);

/** What a program by itself says of its output: what holds where a file has no list of outputs. */
export function outputsByDefault({ ops, output }: Program): ModelOutput[] {
  const { rows, cols } = ops[output - 1];
  const isClasses = rows === 1 && !isNormalized(ops, output);
  const shape = rows === 1 ? [cols] : [rows, cols];
  return [{ name: isClasses ? 'logits' : 'features', shape, start: 0, tail: [], isClasses }];
}

/** Whether a list says no more than the program does. */
export function isDefault(outputs: readonly ModelOutput[], program: Program): boolean {
  return JSON.stringify(outputs.map(inOrder)) === JSON.stringify(outputsByDefault(program).map(inOrder));
}

/** The fields in the order of the format. */
export const inOrder = ({ name, shape, start, tail, isClasses }: ModelOutput): ModelOutput => ({
  name,
  shape,
  start,
  tail,
  isClasses,
});

/** @throws InputError where a list of outputs does not fit the program's value */
export function checkOutputs(outputs: readonly ModelOutput[], { ops, output }: Program): void {
  const { rows, cols } = ops[output - 1];
  if (outputs.length === 0) throw malformed('its list of outputs is empty');
  const names = new Set(outputs.map(({ name }) => name));
  if (names.has('') || names.size < outputs.length) throw malformed('the name of an output is empty or not unique');
  let end = 0;
  for (const one of [...distinctOutputs(outputs)].sort((a, b) => a.start - b.start)) {
    if (one.start !== end) throw malformed(`its output ${quote(one.name)} begins at ${one.start}, not at ${end}`);
    end += outputSize(one);
  }
  if (end !== rows * cols) throw malformed(`its outputs have ${end} numbers, its program gives ${rows * cols}`);
  for (const one of outputs)
    checkOutput(
      one,
      outputs.find(({ start }) => start === one.start)!,
    );
}

function checkOutput(output: ModelOutput, first: ModelOutput): void {
  const { name, shape, tail, isClasses } = output;
  if (outputSize(output) !== outputSize(first))
    throw malformed(`its outputs ${quote(first.name)} and ${quote(name)} share some of their numbers only`);
  if (isClasses && Math.max(1, ...shape) !== outputSize(output))
    throw malformed(`its output ${quote(name)} is no vector, and cannot be scores of classes`);
  for (const last of tail)
    if ('axis' in last && last.axis >= Math.max(1, shape.length))
      throw malformed(`its output ${quote(name)} has no axis ${last.axis}`);
}

/**
 * Whether a value comes from a norm, with moves and means alone behind it: a classifier ends in a linear layer. Found
 * value by value: a file may have tens of thousands of ops in a row.
 */
function isNormalized(ops: readonly Op[], id: number): boolean {
  const normalized = [false];
  for (const op of ops.slice(0, id)) {
    const passes = op.op === 'gather' || op.op === 'meanRows' || op.op === 'rescale';
    const isNorm = op.op === 'layerNorm' || op.op === 'paperNorm' || op.op === 'floatNorm';
    normalized.push(isNorm || (passes && operandsOf(op).every((operand) => normalized[operand])));
  }
  return normalized[id];
}
