import type { OperandView, Output, ValueType } from '../program/types.js';
import { outputRange } from '../kernels/output.js';
import type { Plan, Run, Step, Work } from './plan.js';

/** An array that the C kernels copy or pack when a step is loaded. */
export type Constant = Int8Array | Int16Array | Int32Array | BigInt64Array;

/** A step as native/program.c reads it: words, and constants in the order that it takes them. */
export interface EncodedStep {
  readonly words: Int32Array;
  readonly constants: readonly (Constant | null)[];
}

/** The order of native/ivit.h, `ivit_type`. */
const TYPES: readonly ValueType[] = ['u8', 'i8', 'i16', 'i32', 'rows'];
/** The order of native/program.h, `IVIT_STEP_…`. */
const KINDS = [
  'patches',
  'constant',
  'linear',
  'layerNorm',
  'activation',
  'attention',
  'add',
  'rescale',
  'meanRows',
  'gather',
  'quantize',
  'paperNorm',
  'paperGelu',
] as const;
/** The order of native/ivit.h, `ivit_softmax`. */
const SOFTMAXES = ['shift', 'quadratic', 'paper'] as const;
/** The order of `IVIT_PLACE_…`. */
const PLACES = ['arena', 'local', 'constant'] as const;

/** The header of a program: how many values, steps and stages follow. */
export function encodeHeader(plan: Plan): Int32Array {
  return Int32Array.of(plan.values.length, plan.steps.length, plan.stages.length);
}

export function encodeStep(step: Step, plan: Plan, work: Work): EncodedStep {
  const { op, out, operands } = step;
  const { rows, cols } = plan.values[out];
  const [a = -1, b = -1, c = -1] = operands;
  const { words, constants } = encodeOp(step, plan, work);
  return {
    words: new Int32Array([KINDS.indexOf(op?.op ?? 'quantize'), out, a, b, c, rows, cols, ...words]),
    constants,
  };
}

function encodeOp(step: Step, plan: Plan, work: Work): { words: number[]; constants: (Constant | null)[] } {
  const { op, operands } = step;
  switch (op?.op) {
    case undefined: // quantize
    case 'add':
      return { words: [], constants: [] };
    case 'patches': {
      const { height, width, channels } = work.image;
      const words = [op.kernel, op.stride, op.pad, op.dilation].flatMap((pair) => [...pair]);
      return { words: [...words, op.outSize[1], height, width, channels], constants: [] };
    }
    case 'constant':
      return { words: [TYPES.indexOf(op.out.type)], constants: [op.data] };
    case 'linear': {
      const x = plan.values[operands[0]].out;
      const zero = x.type === 'rows' ? 128 : x.type === 'u8' ? x.zero : 0;
      const twin = findTwin(step, plan);
      return {
        words: [...encodeOutput(op.out, op.shift), op.inFeatures, TYPES.indexOf(x.type), zero, op.rowShift, twin],
        constants: [twin < 0 ? op.weight : null, op.bias, op.multiplier],
      };
    }
    case 'layerNorm':
      return {
        words: [...encodeOutput(op.out, op.shift), op.center ? 1 : 0, ...halves(op.epsilon)],
        constants: [op.multiplier, op.offset],
      };
    case 'activation':
      return {
        words: [...encodeOutput(op.out, op.shift), op.spacing],
        constants: [op.multiplier, op.offset, op.knots],
      };
    case 'paperNorm':
      return { words: encodeOutput(op.out, op.shift), constants: [op.multiplier, op.offset] };
    case 'paperGelu':
      return { words: [...encodeOutput(op.out, op.shift), op.x0], constants: [op.multiplier, op.offset] };
    case 'attention':
      return {
        words: [
          ...encodeOutput(op.out, op.shift),
          op.batch,
          op.heads,
          op.queries,
          op.keys,
          op.dim,
          op.valueDim,
          SOFTMAXES.indexOf(typeof op.softmax === 'string' ? op.softmax : op.softmax.kind),
          op.fractionBits,
          op.scoreShift,
          op.biasBatch,
          op.biasHeads,
          ...(typeof op.softmax === 'string' ? [0, op.softmaxBits] : [op.softmax.x0, op.softmax.bits]),
          ...[op.q, op.k, op.v].flatMap(encodeView),
        ],
        constants: [op.q.rows, op.k.rows, op.v.rows, op.scoreMultiplier, op.bias, op.multiplier],
      };
    case 'rescale':
      return { words: encodeOutput(op.out, op.shift), constants: [op.multiplier, op.offset] };
    case 'meanRows':
      return { words: [...encodeOutput(op.out, op.shift), op.group], constants: [op.multiplier] };
    case 'gather':
      return { words: [op.piece, op.fill, operands.length, ...operands], constants: [op.index] };
  }
}

/** The step before this one whose weights it can share as native/ivit.h says (`twin`); -1: there is none. */
function findTwin(step: Step, { values, steps }: Plan): number {
  const { op, operands } = step;
  if (op?.op !== 'linear' || values[operands[0]].out.type !== 'i16') return -1;
  return steps
    .slice(0, steps.indexOf(step))
    .findIndex((other) => other.op?.op === 'linear' && other.op.weight === op.weight);
}

function encodeOutput(out: Output, shift: number): number[] {
  const { lo, hi } = outputRange(out);
  return [TYPES.indexOf(out.type), lo, hi, out.type === 'u8' ? out.zero : 0, shift];
}

function encodeView(view: OperandView): number[] {
  return [view.stride, view.offset, view.headStride, view.rows?.length ?? 0];
}

/** The low and the high 32 bits. */
function halves(v: bigint): [number, number] {
  return [Number(BigInt.asIntN(32, v)), Number(BigInt.asIntN(32, v >> 32n))];
}

/** Memory, values and stages, after all steps. */
export function encodeLayout(plan: Plan): Int32Array {
  const words = [plan.arenaBytes, plan.localBytes];
  plan.values.forEach(({ out, rows, cols }, i) => {
    const { place, offset, scaleOffset } = plan.places[i];
    words.push(PLACES.indexOf(place), offset, scaleOffset, TYPES.indexOf(out.type), rows, cols);
  });
  for (const { attention, blockRows, runs, uses } of plan.stages) {
    words.push(attention ? 1 : 0, blockRows, ...encodeRuns(runs), uses.length);
    for (const { step, n0, n1, runs: useRuns } of uses) words.push(step, n0, n1, ...encodeRuns(useRuns));
  }
  return new Int32Array(words);
}

function encodeRuns(runs: readonly Run[]): number[] {
  return [runs.length, ...runs.flat()];
}
