import { WIDE_LIMIT } from '../../program/limits.js';
import type { LinearOp } from '../../program/types.js';
import type { ValueId } from '../../program/value.js';
import type { Encoding } from '../decide/encoding.js';
import type { Fit } from '../fit/linear.js';
import { inputSource } from '../plan/queries.js';
import type { BuildContext } from './definition.js';
import { floatOutputs, type Layer } from './layer-samples.js';

/** A linear layer as it was emitted. */
interface Emitted {
  /** Of its first plane. */
  readonly op: LinearOp;
  /** The result of all planes. */
  readonly value: ValueId;
  readonly fit: Fit;
  readonly target: Encoding;
}

/** Reports what became of a layer: settings, and its integer output against float on the held-out images. */
export async function reportLinear(layer: Layer, emitted: Emitted, context: BuildContext): Promise<void> {
  const { node, input } = layer;
  const { op, fit, target } = emitted;
  const { calibration, encodings, sensitivities } = context.request;
  const observed = calibration.statistics.get(node.x);
  const source = node.x === '' ? '' : inputSource(calibration.plan, node.x);
  const residualBits = encodings.bits.weightPlanes(node) > 1 ? fit.residualPlane!.bits : 0;
  context.layers.push({
    name: op.name,
    rows: op.rows,
    inFeatures: op.inFeatures,
    outFeatures: op.cols,
    inputBits: input.out.type === 'i16' ? 16 : 8,
    weightBits: op.weightBits + residualBits,
    weightSensitivity: sensitivities.weights.get(node.id)?.error ?? null,
    input: {
      range:
        observed === undefined ? null : { min: extreme(observed.min, Math.min), max: extreme(observed.max, Math.max) },
      scale: extent(input.scale),
      strength: encodings.inputs.alphaOf(node.id),
      sensitivity: sensitivities.inputs.get(source)?.error ?? null,
    },
    output: { type: op.out.type, scale: extent(target.scale) },
    ...(await compareOutputs(layer, emitted, context)),
    ridge: fit.ridge,
    heldOutError: fit.heldOutError,
  });
}

/** The layer's integer output against float, on the sampled rows of the held-out images. */
async function compareOutputs(
  { node, border }: Layer,
  { op, value, target }: Emitted,
  context: BuildContext,
): Promise<{ sqnrDb: number; clipped: number }> {
  const { samples, fitImages, images } = context.request.calibration;
  const rowsBefore = (image: number): number => {
    let rows = 0;
    for (let i = 0; i < image; i++) rows += samples.rows(i, node.id).length;
    return rows;
  };
  const wanted = await floatOutputs(node, rowsBefore(fitImages), rowsBefore(images.length), context);
  const limit = op.out.type === 'i8' ? 127 : op.out.type === 'i16' ? 32767 : WIDE_LIMIT;
  let signal = 0;
  let noise = 0;
  let clipped = 0;
  let at = 0;
  for (let i = fitImages; i < images.length; i++) {
    const { data } = context.builder.valuesOf(value).of(i);
    for (const r of samples.rows(i, node.id)) {
      for (let n = 0; n < op.cols; n++) {
        const integer = data[r * op.cols + n];
        const got = integer * target.scale[n] + target.center[n] + (border === null ? 0 : border[r * op.cols + n]);
        const want = wanted[at++];
        signal += want * want;
        noise += (want - got) ** 2;
        if (Math.abs(integer) >= limit) clipped++;
      }
    }
  }
  return { sqnrDb: 10 * Math.log10(signal / noise), clipped: clipped / at };
}

function extent(values: Float64Array): { min: number; max: number } {
  return { min: extreme(values, Math.min), max: extreme(values, Math.max) };
}

function extreme(values: Float64Array, pick: (a: number, b: number) => number): number {
  return values.reduce((a, b) => pick(a, b));
}
