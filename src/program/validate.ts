/** Checks that a program is one that engines can run: shapes, types, lengths, ranges, indices in bounds. */
import { InputError } from '../errors.js';
import { MAX_ELEMENTS, MAX_EPSILON, MAX_NORM_LENGTH, MAX_X0, SCORE_BIAS_LIMIT, outputRange } from './limits.js';
import { operandsOf } from './operands.js';
import type {
  ActivationOp,
  AttentionOp,
  ConstantOp,
  GatherOp,
  LayerNormOp,
  LinearOp,
  MeanRowsOp,
  Op,
  OperandView,
  Output,
  PaperGeluOp,
  PaperNormOp,
  PatchesOp,
  Program,
  RescaleOp,
  ValueType,
} from './types.js';

/** Type and shape of a value. */
export interface ValueInfo {
  readonly out: Output;
  readonly rows: number;
  readonly cols: number;
}

const MAX_OPS = 65536;
const MAX_INPUT_EDGE = 8192;
const MAX_INPUT_CHANNELS = 64;

/** Type and shape of every value: the image, then what each op writes. */
export function valuesOf(program: Program): ValueInfo[] {
  const { height, width, channels } = program.input;
  return [{ out: { type: 'u8', zero: 0 }, rows: height * width, cols: channels }, ...program.ops];
}

/**
 * Refuses a program that breaks a rule of docs/format.md. Every number in it counts as untrusted; what passes can be run
 * by any engine without reading or writing outside a value. Overflow is another matter: see `proveNoOverflow`.
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
  if (ops.length === 0 || ops.length > MAX_OPS)
    throw new InputError(`The program has ${ops.length} ops, not 1 to ${MAX_OPS}`);

  const values = valuesOf(program);
  const names = new Set<string>();
  ops.forEach((op, i) => {
    const check = new OpCheck(op);
    check.that(op.name.length > 0 && !names.has(op.name), 'its name is empty or not unique');
    names.add(op.name);
    check.that(
      isCount(op.rows, 1, MAX_ELEMENTS) && isCount(op.cols, 1, MAX_ELEMENTS),
      `its shape [${op.rows}, ${op.cols}] is not valid`,
    );
    check.that(elements(op) <= MAX_ELEMENTS, `its value of ${elements(op)} elements is larger than ${MAX_ELEMENTS}`);
    if (op.out.type === 'u8')
      check.that(isCount(op.out.zero, 0, 255), `its zero point ${op.out.zero} is not within 0 to 255`);
    for (const id of operandsOf(op)) {
      check.that(isCount(id, 0, i), `it reads value ${id}; only values 0 to ${i} exist before it`);
    }
    validateOp(op, values, program, check);
  });
  if (!isCount(output, 1, ops.length))
    throw new InputError(`The program's output is value ${output}, which does not exist`);
  const type = values[output].out.type;
  if (type !== 'i32') throw new InputError(`The program's output has type ${type}, not i32`);
}

/** Says which op breaks which rule. */
class OpCheck {
  constructor(private readonly op: Op) {}

  that(holds: boolean, problem: string): void {
    if (!holds) throw new InputError(`Op ${JSON.stringify(this.op.name)} (${this.op.op}): ${problem}`);
  }

  /** Operand `what` must be of one of `types`. */
  type(what: string, value: ValueInfo, ...types: ValueType[]): void {
    this.that(types.includes(value.out.type), `${what} has type ${value.out.type}, not ${types.join(' or ')}`);
  }

  writes(...types: ValueType[]): void {
    this.that(types.includes(this.op.out.type), `it writes ${this.op.out.type}, not ${types.join(' or ')}`);
  }

  length(what: string, array: { readonly length: number }, length: number): void {
    this.that(array.length === length, `${what} has ${array.length} elements, not ${length}`);
  }

  sameElements(what: string, value: ValueInfo, count: number): void {
    this.that(elements(value) === count, `${what} has ${elements(value)} elements, not ${count}`);
  }

  within(what: string, array: ArrayLike<number>, lo: number, hi: number): void {
    // Of millions of weights only −128 can be wrong, which the engine finds faster than a loop here.
    if (array instanceof Int8Array && lo === -127 && hi === 127 && !array.includes(-128)) return;
    for (let i = 0; i < array.length; i++) {
      if (array[i] < lo || array[i] > hi) this.that(false, `${what}[${i}] is ${array[i]}, not within ${lo} to ${hi}`);
    }
  }

  count(what: string, value: number, lo: number, hi: number): void {
    this.that(isCount(value, lo, hi), `${what} is ${value}, not an integer within ${lo} to ${hi}`);
  }

  /** The multipliers of a requantization: one a channel, one shift for all. */
  multipliers(op: {
    readonly cols: number;
    readonly multiplier: Int32Array;
    readonly offset?: BigInt64Array;
    readonly shift: number;
  }): void {
    this.length('multiplier', op.multiplier, op.cols);
    if (op.offset !== undefined) this.length('offset', op.offset, op.cols);
    this.count('shift', op.shift, 1, 62);
  }
}

function validateOp(op: Op, values: readonly ValueInfo[], program: Program, check: OpCheck): void {
  switch (op.op) {
    case 'patches':
      return validatePatches(op, program, check);
    case 'linear':
      return validateLinear(op, values, check);
    case 'constant':
      return validateConstant(op, check);
    case 'layerNorm':
      return validateLayerNorm(op, values, check);
    case 'activation':
      return validateActivation(op, values, check);
    case 'paperNorm':
      return validatePaperNorm(op, values, check);
    case 'paperGelu':
      return validatePaperGelu(op, values, check);
    case 'attention':
      return validateAttention(op, values, check);
    case 'add':
      check.writes('i32');
      for (const [what, id] of [
        ['a', op.a],
        ['b', op.b],
      ] as const) {
        check.type(what, values[id], 'i32');
        check.sameElements(what, values[id], elements(op));
      }
      return;
    case 'rescale':
      return validateRescale(op, values, check);
    case 'meanRows':
      return validateMeanRows(op, values, check);
    case 'gather':
      return validateGather(op, values, check);
  }
}

function validatePatches(op: PatchesOp, { input }: Program, check: OpCheck): void {
  check.that(op.out.type === 'u8' && op.out.zero === 0, 'it must write u8 with zero point 0');
  for (const axis of [0, 1]) {
    check.count('kernel', op.kernel[axis], 1, MAX_INPUT_EDGE);
    check.count('stride', op.stride[axis], 1, MAX_INPUT_EDGE);
    check.count('pad', op.pad[axis], 0, MAX_INPUT_EDGE);
    check.count('dilation', op.dilation[axis], 1, MAX_INPUT_EDGE);
    check.count('outSize', op.outSize[axis], 1, MAX_INPUT_EDGE);
  }
  check.that(op.rows === op.outSize[0] * op.outSize[1], `${op.outSize.join('×')} patches are not ${op.rows} rows`);
  const patch = op.kernel[0] * op.kernel[1] * input.channels;
  check.that(op.cols === patch, `patches of ${op.kernel.join('×')}×${input.channels} are not ${op.cols} columns`);
}

function validateLinear(op: LinearOp, values: readonly ValueInfo[], check: OpCheck): void {
  const x = values[op.x];
  check.type('x', x, 'u8', 'i16', 'rows');
  check.count('inFeatures', op.inFeatures, 1, MAX_ELEMENTS);
  check.sameElements('x', x, op.rows * op.inFeatures);
  if (x.out.type === 'rows') {
    check.that(x.cols === op.inFeatures, `x has dynamic rows of ${x.cols}, not of ${op.inFeatures}`);
    check.count('rowShift', op.rowShift, 0, 31);
  } else {
    check.that(op.rowShift === 0, 'rowShift is not 0, yet x is not dynamic');
  }
  check.that([4, 6, 8].includes(op.weightBits), `weightBits is ${op.weightBits}, not 4, 6 or 8`);
  check.length('weight', op.weight, op.cols * op.inFeatures);
  const limit = (1 << (op.weightBits - 1)) - 1;
  check.within('weight', op.weight, -limit, limit);
  check.length('bias', op.bias, op.cols);
  check.multipliers(op);
  if (op.residual !== null) {
    check.writes('i32');
    check.type('the residual', values[op.residual], 'i32');
    check.sameElements('the residual', values[op.residual], elements(op));
  }
}

function validateConstant(op: ConstantOp, check: OpCheck): void {
  check.writes('i32', 'i8');
  check.that(op.data instanceof Int8Array === (op.out.type === 'i8'), `its data are not ${op.out.type}`);
  check.length('data', op.data, elements(op));
  const { lo, hi } = outputRange(op.out);
  check.within('data', op.data, lo, hi);
}

function validateLayerNorm(op: LayerNormOp, values: readonly ValueInfo[], check: OpCheck): void {
  check.type('x', values[op.x], 'i32');
  check.sameElements('x', values[op.x], elements(op));
  check.count('cols', op.cols, 1, MAX_NORM_LENGTH);
  check.that(op.epsilon >= 0n && op.epsilon <= MAX_EPSILON, `epsilon is ${op.epsilon}, not within 0 to 2^53`);
  check.multipliers(op);
}

function validateActivation(op: ActivationOp, values: readonly ValueInfo[], check: OpCheck): void {
  check.type('x', values[op.x], 'i16');
  check.sameElements('x', values[op.x], elements(op));
  check.length('knots', op.knots, 64);
  check.count('spacing', op.spacing, 0, 15);
  check.multipliers(op);
}

function validatePaperNorm(op: PaperNormOp, values: readonly ValueInfo[], check: OpCheck): void {
  check.type('x', values[op.x], 'i32');
  check.sameElements('x', values[op.x], elements(op));
  check.count('cols', op.cols, 1, MAX_NORM_LENGTH);
  check.multipliers(op);
}

function validatePaperGelu(op: PaperGeluOp, values: readonly ValueInfo[], check: OpCheck): void {
  check.type('x', values[op.x], 'i8');
  check.sameElements('x', values[op.x], elements(op));
  check.count('x0', op.x0, -MAX_X0, -1);
  check.multipliers(op);
}

function validateAttention(op: AttentionOp, values: readonly ValueInfo[], check: OpCheck): void {
  for (const field of ['batch', 'heads', 'queries', 'keys', 'dim', 'valueDim'] as const) {
    check.count(field, op[field], 1, MAX_ELEMENTS);
  }
  const { batch, heads, queries, keys, dim, valueDim } = op;
  check.that(op.rows === batch * queries, `${batch} windows of ${queries} queries are not ${op.rows} rows`);
  check.that(op.cols === heads * valueDim, `${heads} heads of ${valueDim} channels are not ${op.cols} columns`);
  validateView('q', op.q, values[op.q.x], batch * queries, heads, dim, check);
  validateView('k', op.k, values[op.k.x], batch * keys, heads, dim, check);
  validateView('v', op.v, values[op.v.x], batch * keys, heads, valueDim, check);
  check.that(op.softmaxBits === 8 || op.softmaxBits === 12, `softmaxBits is ${String(op.softmaxBits)}, not 8 or 12`);
  if (typeof op.softmax === 'string') {
    check.count('fractionBits', op.fractionBits, 8, 11);
  } else {
    check.that(op.softmaxBits === 8, `softmaxBits is ${op.softmaxBits}, not 8`);
    check.count('x0', op.softmax.x0, -MAX_X0, -1);
    check.that(
      op.softmax.bits === 8 || op.softmax.bits === 16,
      `its softmax has ${String(op.softmax.bits)} bits, not 8 or 16`,
    );
    check.that(op.fractionBits === 0, `fractionBits is ${op.fractionBits}, not 0`);
  }
  check.length('scoreMultiplier', op.scoreMultiplier, heads);
  check.count('scoreShift', op.scoreShift, 1, 62);
  check.that(op.biasBatch === 1 || op.biasBatch === batch, `biasBatch is ${op.biasBatch}, not 1 or ${batch}`);
  check.that(op.biasHeads === 1 || op.biasHeads === heads, `biasHeads is ${op.biasHeads}, not 1 or ${heads}`);
  if (op.bias !== null) {
    check.length('bias', op.bias, op.biasBatch * op.biasHeads * queries * keys);
    check.within('bias', op.bias, -SCORE_BIAS_LIMIT, SCORE_BIAS_LIMIT);
  }
  check.multipliers(op);
}

/** Every element that the view reads lies inside its source. */
function validateView(
  what: string,
  view: OperandView,
  source: ValueInfo,
  tokens: number,
  heads: number,
  width: number,
  check: OpCheck,
): void {
  check.type(what, source, 'i8');
  check.count(`${what}.stride`, view.stride, 1, MAX_ELEMENTS);
  check.count(`${what}.offset`, view.offset, 0, MAX_ELEMENTS);
  check.count(`${what}.headStride`, view.headStride, 0, MAX_ELEMENTS);
  const last = view.offset + (heads - 1) * view.headStride + width;
  check.that(last <= view.stride, `${what} reads up to column ${last} of rows of ${view.stride}`);
  const total = elements(source);
  check.that(total % view.stride === 0, `${what}'s source of ${total} elements has no whole rows of ${view.stride}`);
  if (view.rows === null) {
    check.that(tokens * view.stride <= total, `${what} reads ${tokens} rows of ${view.stride} from ${total} elements`);
  } else {
    check.length(`${what}.rows`, view.rows, tokens);
    for (const row of view.rows) {
      check.that(row >= 0 && (row + 1) * view.stride <= total, `${what} reads row ${row}, outside its source`);
    }
  }
}

function validateRescale(op: RescaleOp, values: readonly ValueInfo[], check: OpCheck): void {
  check.type('x', values[op.x], 'i32');
  check.sameElements('x', values[op.x], elements(op));
  check.multipliers(op);
}

function validateMeanRows(op: MeanRowsOp, values: readonly ValueInfo[], check: OpCheck): void {
  check.type('x', values[op.x], 'i32');
  check.count('group', op.group, 1, MAX_ELEMENTS);
  check.sameElements('x', values[op.x], elements(op) * op.group);
  check.multipliers(op);
}

function validateGather(op: GatherOp, values: readonly ValueInfo[], check: OpCheck): void {
  check.that(op.sources.length > 0, 'it has no sources');
  check.count('piece', op.piece, 1, MAX_ELEMENTS);
  let pieces = 0;
  for (const id of op.sources) {
    const source = values[id];
    check.type('a source', source, op.out.type);
    check.that(
      zeroPoint(source.out) === zeroPoint(op.out),
      `a source has zero point ${zeroPoint(source.out)}, not ${zeroPoint(op.out)}`,
    );
    check.that(
      elements(source) % op.piece === 0,
      `a source of ${elements(source)} elements has no whole pieces of ${op.piece}`,
    );
    // A dynamic row and its scale belong together.
    if (op.out.type === 'rows')
      check.that(source.cols === op.piece, `pieces of ${op.piece} are not whole dynamic rows of ${source.cols}`);
    pieces += elements(source);
  }
  if (op.out.type === 'rows')
    check.that(op.cols === op.piece, `pieces of ${op.piece} are not whole dynamic rows of ${op.cols}`);
  check.that(
    op.index.length * op.piece === elements(op),
    `${op.index.length} pieces of ${op.piece} are not ${elements(op)} elements`,
  );
  for (const from of op.index) {
    check.that(from >= -1 && (from + 1) * op.piece <= pieces, `it reads piece ${from}, outside its sources`);
  }
  const { lo, hi } = op.out.type === 'u8' || op.out.type === 'rows' ? { lo: 0, hi: 255 } : outputRange(op.out);
  check.count('fill', op.fill, lo, hi);
}

function zeroPoint(out: Output): number {
  return out.type === 'u8' ? out.zero : 0;
}

function elements(value: ValueInfo): number {
  return value.rows * value.cols;
}

function isCount(value: number, lo: number, hi: number): boolean {
  return Number.isSafeInteger(value) && value >= lo && value <= hi;
}
