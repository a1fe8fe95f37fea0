import type { LoadedOp, OpRunner, Value } from '../../engine/types.js';
import { imageValue, type ValueSpec } from '../../engine/values.js';
import { operandsOf } from '../../program/operands.js';
import { canShareWeights } from '../../program/ops/linear.js';
import type { ConstantOp, Op, Program } from '../../program/types.js';
import type { Output, ValueId } from '../../program/value.js';
import { uniformScales, writtenScales, type ChannelScales } from '../decide/encoding.js';
import type { ValueEncodings } from '../decide/value-encodings.js';
import type { Demand } from '../plan/types.js';
import { requantizeTo } from './requantization.js';

/** A value of the program under construction, and what its integers mean. */
export interface Built extends ChannelScales {
  readonly value: ValueId;
  readonly out: Output;
  readonly rows: number;
  readonly cols: number;
}

/** int32, as the residual stream is. */
export const WIDE: Output = { type: 'i32' };

const FORMS: readonly Demand[] = ['codes', 'operand', 'activation', 'factor', 'fixed', 'table', 'wide'];
const key = (id: string, form: Demand): string => `${form} ${id}`;

/**
 * A value on every image. Windows and patches are many times as large as what they are cut from: they are cut anew
 * whenever they are read, and retain what they are cut from.
 */
export interface ImageValues {
  of(image: number): Value;
  /** One more reads it: it is there until all have freed it. */
  retain(): void;
  free(): void;
}

abstract class CountedValues implements ImageValues {
  private readers = 1;

  abstract of(image: number): Value;
  protected abstract drop(): void;

  retain(): void {
    this.readers++;
  }

  free(): void {
    if (--this.readers === 0) this.drop();
  }
}

class KeptValues extends CountedValues {
  /** @param spare takes the values when nobody reads them any more */
  constructor(
    private readonly values: readonly Value[],
    private readonly spare: SpareValues | null,
  ) {
    super();
  }

  of(image: number): Value {
    return this.values[image];
  }

  protected drop(): void {
    this.spare?.give(this.values);
  }
}

class CutValues extends CountedValues {
  constructor(
    private readonly loaded: LoadedOp,
    private readonly operands: readonly ImageValues[],
  ) {
    super();
    for (const values of operands) values.retain();
  }

  of(image: number): Value {
    return this.loaded.run(this.operands.map((values) => values.of(image)));
  }

  protected drop(): void {
    this.loaded.free();
    for (const values of this.operands) values.free();
  }
}

/** Most bytes of values that are kept to be written again. */
const MOST_SPARE = 1 << 27;

/** Values that nobody reads any more: fresh memory for each op and image would cost more than many ops do. */
class SpareValues {
  readonly #spare = new Map<string, Value[]>();
  #bytes = 0;

  take(op: ValueSpec): Value | undefined {
    const value = this.#spare.get(shapeOf(op))?.pop();
    this.#bytes -= value?.data.byteLength ?? 0;
    return value;
  }

  give(values: readonly Value[]): void {
    const shape = shapeOf(values[0]);
    const spare = this.#spare.get(shape) ?? [];
    for (const value of values) {
      if (this.#bytes + value.data.byteLength > MOST_SPARE) break;
      this.#bytes += value.data.byteLength;
      spare.push(value);
    }
    this.#spare.set(shape, spare);
  }
}

const shapeOf = ({ out, rows, cols }: ValueSpec): string => `${out.type} ${rows} ${cols}`;

/**
 * A program under construction: its ops so far, and every value on all calibration images, as far as it is still read.
 */
export class ProgramBuilder {
  readonly ops: Op[] = [];
  private readonly built = new Map<string, Built>();
  /** Values of all images, by value id; dropped after their last use. */
  private readonly values = new Map<ValueId, ImageValues>();
  /** Constants that several nodes share, by the array and the scale. */
  private readonly constants = new Map<Float32Array, Map<number, ValueId>>();
  private readonly spare = new SpareValues();
  private readonly names = new Set<string>();
  /** Of weights in the program: the op that they are of. */
  private readonly weightsAt = new Map<Int8Array, number>();

  constructor(
    readonly input: Program['input'],
    private readonly images: readonly Uint8Array[],
    private readonly runner: OpRunner,
    private readonly encodings: ValueEncodings,
  ) {
    this.values.set(
      0,
      new KeptValues(
        images.map((pixels) => imageValue(input, pixels)),
        null,
      ),
    );
  }

  /** The scale of a node's value in the residual stream's form. */
  wideScale(id: string): number {
    return this.encodings.wideScale(id);
  }

  /** Appends an op, under a name that no other has, and runs it on every image. */
  emit(unnamed: Op): { readonly value: ValueId; readonly op: Op } {
    const op = this.tied({ ...unnamed, name: this.unique(unnamed.name) });
    const operands = operandsOf(op).map((id) => this.valuesOf(id));
    const loaded = this.runner.load(
      op,
      operands.map((values) => values.of(0)),
      this.input,
    );
    this.ops.push(op);
    if (op.op === 'windows' || op.op === 'patches') {
      this.values.set(this.ops.length, new CutValues(loaded, operands));
      return { value: this.ops.length, op };
    }
    const inputsOf = (image: number): Value[] => operands.map((values) => values.of(image));
    const made = this.images.map((_, i) => loaded.run(inputsOf(i), this.spare.take(op)));
    this.values.set(this.ops.length, new KeptValues(made, this.spare));
    loaded.free();
    return { value: this.ops.length, op };
  }

  /** Appends the op that makes a node's value, and remembers in which form it is. @returns the op, named */
  define(id: string, form: Demand, op: Op, scales: ChannelScales): Op {
    const emitted = this.emit(op);
    this.remember(id, form, emitted, scales);
    return emitted.op;
  }

  /** The same for a value in the residual stream's form. */
  defineWide(id: string, op: Op): void {
    this.define(id, 'wide', op, uniformScales(op.cols, this.wideScale(id)));
  }

  /** A constant that stands for an array at a scale: made once. */
  constantOf(array: Float32Array, scale: number, make: () => ConstantOp): ValueId {
    const made = this.constants.get(array) ?? new Map<number, ValueId>();
    const value = made.get(scale) ?? this.emit(make()).value;
    this.constants.set(array, made.set(scale, value));
    return value;
  }

  /** Remembers that an op which was emitted makes a node's value. */
  remember(id: string, form: Demand, { value, op }: { value: ValueId; op: Op }, scales: ChannelScales): void {
    const { out, rows, cols } = op;
    this.built.set(key(id, form), { value, out, rows, cols, scale: scales.scale, center: scales.center });
  }

  has(id: string, form: Demand): boolean {
    return this.built.has(key(id, form));
  }

  /** A value on every image. */
  valuesOf(value: ValueId): ImageValues {
    return this.values.get(value)!;
  }

  /** A node's value in the residual stream's form. */
  wide(id: string): Built {
    const built = this.built.get(key(id, 'wide'));
    if (built === undefined) throw new Error(`no wide value of ${id}`);
    return built;
  }

  /** A node's value in the form that a reader needs; made from the wide one where it is not there. */
  inForm(id: string, form: Exclude<Demand, 'wide'>, cols: number, name: string): Built {
    const known = this.built.get(key(id, form));
    if (known !== undefined) return known;
    const wide = this.wide(id);
    const encoding = this.encodings.target(id, form, cols);
    const { out, scale } = encoding;
    const rows = (wide.rows * wide.cols) / scale.length;
    const common = { op: 'rescale' as const, name: `${name}.${form}`, rows, cols: scale.length, out, x: wide.value };
    const requantization = requantizeTo(encoding, () => wide.scale[0], name);
    this.define(id, form, { ...common, ...requantization }, writtenScales(encoding));
    return this.built.get(key(id, form))!;
  }

  /** Forgets a node's value, which nobody reads any more. */
  release(id: string): void {
    for (const form of FORMS) {
      const built = this.built.get(key(id, form));
      if (built === undefined) continue;
      // A fused add shares its value with no other node; a gather's sources have their own.
      const shared = [...this.built].some(([k, other]) => other.value === built.value && k !== key(id, form));
      this.built.delete(key(id, form));
      if (shared) continue;
      this.values.get(built.value)?.free();
      this.values.delete(built.value);
    }
  }

  /** The op, naming the one before it whose weights it has. */
  private tied(op: Op): Op {
    if (op.op !== 'linear') return op;
    const weightsOf = this.weightsAt.get(op.weight);
    if (weightsOf === undefined) this.weightsAt.set(op.weight, this.ops.length);
    return weightsOf !== undefined && canShareWeights(op, this.ops[weightsOf]) ? { ...op, weightsOf } : op;
  }

  private unique(name: string): string {
    let candidate = name;
    for (let i = 2; this.names.has(candidate); i++) candidate = `${name}.${i}`;
    this.names.add(candidate);
    return candidate;
  }
}
