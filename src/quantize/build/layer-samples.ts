/** What a linear layer reads, and what it should give, on the sampled rows of the calibration images. */
import { zeroPoint, type ValueId } from '../../program/value.js';
import type { LinearNode } from '../../graph/types.js';
import { transposed } from '../fit/linalg.js';
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

/** The inputs of a layer on sampled rows of the images that are fitted to. */
export interface SampledInputs {
  /** [rows, K]: integers less their zero point, of dynamic rows times their scales over `unit`. */
  readonly x: Float32Array;
  /** [rows]. */
  readonly rowWeight: Float32Array;
  /** [rows]: 1 for those of every fifth image. */
  readonly heldOut: Uint8Array;
  /** Dynamic rows: a typical row scale, so that the Gram matrix's numbers stay moderate; else 1. */
  readonly unit: number;
  /** The rows of each image. */
  readonly rowsOf: readonly Int32Array[];
}

/** One image in so many is held out of the fit, to choose the ridge strength on. */
const HELD_OUT = 5;

export function sampleInputs({ node, input }: Layer, { builder, request }: ProgramContext): SampledInputs {
  const { samples, fitImages } = request.calibration;
  const K = node.inFeatures;
  const values = builder.valuesOf(input.value);
  const zero = zeroPoint(input.out);
  const rowsOf = Array.from({ length: fitImages }, (_, i) => samples.rows(i, node.id));
  const S = rowsOf.reduce((n, rows) => n + rows.length, 0);
  const x = new Float32Array(S * K);
  const rowWeight = new Float32Array(S);
  const heldOut = new Uint8Array(S);
  let unit = 1;
  if (input.out.type === 'rows') {
    let sum = 0;
    for (const [i, rows] of rowsOf.entries()) for (const r of rows) sum += values.of(i).rowScale![r];
    unit = sum / S;
  }
  let s = 0;
  for (const [i, rows] of rowsOf.entries()) {
    const { data, rowScale } = values.of(i);
    for (const r of rows) {
      const scale = rowScale === null ? 1 : rowScale[r] / unit;
      for (let k = 0; k < K; k++) x[s * K + k] = (data[r * K + k] - zero) * scale;
      rowWeight[s] = samples.weight(node.id, r);
      heldOut[s] = i % HELD_OUT === HELD_OUT - 1 ? 1 : 0;
      s++;
    }
  }
  return { x, rowWeight, heldOut, unit, rowsOf };
}

/** [rows, N]: what the layer should give, the float result less what the integer residual already holds. */
export async function sampleTargets(
  { node, residual, border }: Layer,
  rowsOf: readonly Int32Array[],
  context: ProgramContext,
): Promise<Float32Array> {
  const { builder } = context;
  const { cols: N } = node;
  const count = rowsOf.reduce((n, rows) => n + rows.length, 0);
  const target = await floatOutputs(node, 0, count, context);
  if (residual === null && border === null) return target;
  const values = residual === null ? null : builder.valuesOf(residual.value);
  let s = 0;
  for (const [i, rows] of rowsOf.entries()) {
    const held = values?.of(i).data;
    for (const r of rows) {
      for (let n = 0; n < N; n++) {
        if (held !== undefined) target[s * N + n] -= held[r * N + n] * residual!.scale;
        if (border !== null) target[s * N + n] -= border[r * N + n];
      }
      s++;
    }
  }
  return target;
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
