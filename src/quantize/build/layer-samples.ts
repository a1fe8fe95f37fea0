/** What a linear layer reads, and what it should give, on the sampled rows of the calibration images. */
import { zeroPoint, type IntegerArray, type ValueId } from '../../program/value.js';
import type { LinearNode } from '../../graph/types.js';
import { transposed } from '../fit/linalg.js';
import type { Wanted } from '../fit/output-errors.js';
import type { ProgramContext } from './program-context.js';
import type { Built } from './program-builder.js';

/** A linear layer where it stands in the program. */
export interface Layer {
  readonly node: LinearNode;
  /** What it reads. */
  readonly input: Built;
  /** An int32 value that it adds its result to, and its scale, or null. */
  readonly residual: { readonly value: ValueId; readonly scale: number } | null;
  /** [rows, cols] added after the layer, or null: not part of what it is fitted to. */
  readonly border: Float32Array | null;
}

/** Rows of one image. */
interface ImageRows {
  readonly image: number;
  readonly rows: Int32Array;
}

/** The inputs of a layer on sampled rows of the images that are fitted to: those of held-out images come last. */
export interface SampledInputs {
  /** [rows, K]: integers less their zero point, of dynamic rows times their scales over `unit`. */
  readonly x: Float32Array;
  /** [rows]. */
  readonly rowWeight: Float32Array;
  /** Rows from here on are those of every fifth image. */
  readonly heldFrom: number;
  /** Dynamic rows: a typical row scale, so that the Gram matrix's numbers stay moderate; else 1. */
  readonly unit: number;
  /** Which rows they are. */
  readonly sampled: readonly ImageRows[];
}

/** One image in so many is held out of the fit, to choose the ridge strength on. */
const HELD_OUT = 5;

export function sampleInputs({ node, input }: Layer, { builder, request }: ProgramContext): SampledInputs {
  const { samples, fitImages } = request.calibration;
  const K = node.inFeatures;
  const values = builder.valuesOf(input.value);
  const zero = zeroPoint(input.out);
  const all = Array.from({ length: fitImages }, (_, image) => ({ image, rows: samples.rows(image, node.id) }));
  const isHeld = ({ image }: ImageRows): boolean => image % HELD_OUT === HELD_OUT - 1;
  const heldFrom = countRows(all.filter((one) => !isHeld(one)));
  const sampled = [...all.filter((one) => !isHeld(one)), ...all.filter(isHeld)];
  const S = countRows(sampled);
  const x = new Float32Array(S * K);
  const rowWeight = new Float32Array(S);
  let unit = 1;
  if (input.out.type === 'rows') {
    let sum = 0;
    for (const { image, rows } of all) for (const r of rows) sum += values.of(image).rowScale![r];
    unit = sum / S;
  }
  let s = 0;
  for (const { image, rows } of sampled) {
    const { data, rowScale } = values.of(image);
    for (const r of rows) {
      const row = x.subarray(s * K, (s + 1) * K);
      row.set(data.subarray(r * K, (r + 1) * K));
      centreAndScale(row, zero, rowScale === null ? 1 : rowScale[r] / unit);
      rowWeight[s] = samples.weight(node.id, r);
      s++;
    }
  }
  return { x, rowWeight, heldFrom, unit, sampled };
}

function centreAndScale(values: Float32Array, zero: number, scale: number): void {
  for (let k = 0; k < values.length; k++) values[k] = (values[k] - zero) * scale;
}

const countRows = (some: readonly ImageRows[]): number => some.reduce((n, { rows }) => n + rows.length, 0);

/** What the float model has on the sampled rows; of outputs, less what the integer residual already holds. */
export function sampleWanted(
  { node, input, residual, border }: Layer,
  { sampled, unit }: SampledInputs,
  { builder, request }: ProgramContext,
): Wanted {
  const { samples, collected } = request.calibration;
  const source = samples.targetOf(node.id);
  const cols = source.isInput ? node.inFeatures : node.cols;
  const value = new Float32Array(countRows(sampled) * cols);
  const starts = startsOf(sampled);
  let at = 0;
  for (const { image, rows } of sampled) {
    const start = starts[image] * cols;
    value.set(collected.samples.read(source.id, start, start + rows.length * cols), at);
    at += rows.length * cols;
  }
  if (source.isInput) {
    const [shift, factor] = [input.center, input.scale.map((scale) => 1 / (scale * unit))];
    for (let i = 0; i < value.length;) for (let k = 0; k < cols; k++, i++) value[i] = (value[i] - shift[k]) * factor[k];
    return { inputs: value };
  }
  if (residual === null && border === null) return { outputs: value };
  const values = residual === null ? null : builder.valuesOf(residual.value);
  let s = 0;
  for (const { image, rows } of sampled) {
    const held = values?.of(image).data;
    for (const r of rows) {
      const row = value.subarray(s * cols, (s + 1) * cols);
      if (held !== undefined) subtractScaled(row, held.subarray(r * cols, (r + 1) * cols), residual!.scale);
      if (border !== null) subtractScaled(row, border.subarray(r * cols, (r + 1) * cols), 1);
      s++;
    }
  }
  return { outputs: value };
}

function subtractScaled(from: Float32Array, values: Float32Array | IntegerArray, scale: number): void {
  for (let n = 0; n < from.length; n++) from[n] -= values[n] * scale;
}

/** The first sampled row of each image, where rows are kept image by image. */
function startsOf(sampled: readonly ImageRows[]): number[] {
  const starts: number[] = [];
  let start = 0;
  for (const { image, rows } of [...sampled].sort((a, b) => a.image - b.image)) {
    starts[image] = start;
    start += rows.length;
  }
  return starts;
}

/**
 * [to − from, N]: the float outputs of a layer (with the residual that it is fused with) on sampled rows from … to − 1,
 * counted over all images.
 */
export async function floatOutputs(
  node: LinearNode,
  from: number,
  to: number,
  { request }: ProgramContext,
): Promise<Float32Array> {
  const { cols: N, inFeatures: K } = node;
  const { samples, collected } = request.calibration;
  const source = samples.targetOf(node.id);
  if (!source.isInput) return collected.samples.read(source.id, from * N, to * N);
  const x = collected.samples.read(source.id, from * K, to * K);
  const outputs = await request.products.plain(x, K, transposed(node.weight, N, K), N);
  for (let s = 0, i = 0; s < to - from; s++) for (let n = 0; n < N; n++) outputs[i++] += node.bias[n];
  return outputs;
}
