import type { LinearNode, PatchEmbedNode } from '../../graph/types.js';
import type { Program } from '../../program/types.js';
import { uniformScales } from '../decide/encoding.js';
import { wideConstant } from './constant.js';
import { wideDemand, type BuildContext, type NodeBuilder } from './definition.js';
import { buildLayer } from './linear.js';
import { WIDE, type Built } from './program-builder.js';

export const patchEmbed: NodeBuilder<PatchEmbedNode> = {
  demand: wideDemand,
  form: wideDemand,
  async build(node, _form, context) {
    const { builder } = context;
    const { id, name, rows, cols, weight, bias } = node;
    const input = cutPatches(node, context);
    const border = borderCorrection(node, input.center, builder.input);
    const inFeatures = input.cols;
    const linear: LinearNode = { op: 'linear', id, name, rows, cols, x: '', weight, bias, inFeatures };
    const scales = uniformScales(cols, builder.wideScale(id));
    const made = await buildLayer({ node: linear, input, residual: null, border }, { out: WIDE, ...scales }, context);
    if (border === null) return builder.remember(id, 'wide', made, scales);
    const padding = { name: `${name}.padding`, rows, cols, value: border };
    const { value: b } = builder.emit(wideConstant(padding, builder.wideScale(id)));
    builder.defineWide(id, { op: 'add', name: `${name}.border`, rows, cols, out: WIDE, a: made.value, b });
  },
};

/**
 * The patches of the image. A pixel p stands for (p/255 − mean)/std: the scale goes into the weights, the shift into
 * the bias.
 */
function cutPatches(
  { name, rows, kernel, stride, pads, dilation, outSize }: PatchEmbedNode,
  context: BuildContext,
): Built {
  const { builder, request } = context;
  const { mean, std } = request.calibration.normalization;
  const { channels } = builder.input;
  const cols = kernel[0] * kernel[1] * channels;
  const out = { type: 'u8', zero: 0 } as const;
  const pad = [pads[0], pads[1]] as const;
  const patches = {
    op: 'patches',
    name: `${name}.patches`,
    rows,
    cols,
    out,
    kernel,
    stride,
    pad,
    dilation,
    outSize,
  } as const;
  const scale = Float64Array.from({ length: cols }, (_, k) => 1 / (255 * std[k % channels]));
  const center = Float64Array.from({ length: cols }, (_, k) => -mean[k % channels] / std[k % channels]);
  return { value: builder.emit(patches).value, out, rows, cols, scale, center };
}

/**
 * [rows, cols]: what padded taps add wrongly. They read pixel 0, which stands for center[k], where the model has a real
 * zero; null where there are none.
 */
function borderCorrection(node: PatchEmbedNode, center: Float64Array, image: Program['input']): Float32Array | null {
  if (node.pads.every((p) => p === 0)) return null;
  const K = center.length;
  const correction = new Float32Array(node.rows * node.cols);
  for (let p = 0; p < node.rows; p++) {
    const [py, px] = [Math.floor(p / node.outSize[1]), p % node.outSize[1]];
    for (let k = 0; k < K; k++) {
      const tap = Math.floor(k / image.channels);
      const y = py * node.stride[0] - node.pads[0] + Math.floor(tap / node.kernel[1]) * node.dilation[0];
      const x = px * node.stride[1] - node.pads[1] + (tap % node.kernel[1]) * node.dilation[1];
      if (y >= 0 && y < image.height && x >= 0 && x < image.width) continue;
      for (let n = 0; n < node.cols; n++) correction[p * node.cols + n] -= node.weight[n * K + k] * center[k];
    }
  }
  return correction;
}
