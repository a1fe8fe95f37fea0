/**
 * `--kernels float`: products of 8 bits, with softmax, GELU and LayerNorm in float32 (src/float-kernels/), as runtimes
 * for int8 do, FasterTransformer among them. Such a model is not integer-only. Other activations, and softmax by
 * itself, are those of `lut`.
 */
import { SCORE_BITS, SCORE_UNIT } from '../build/scores.js';
import type { KernelScheme } from './kernel-scheme.js';
import { lutKernels } from './own-kernels.js';

export const floatKernels: KernelScheme = {
  ...lutKernels,
  normOp: 'floatNorm',
  activation(node, input) {
    if (node.kind !== 'gelu') return lutKernels.activation(node, input);
    const fractionBits = -Math.log2(input.scale[0]);
    return { kernel: { op: 'floatGelu', fractionBits }, unit: input.scale[0] * 2 ** -15 };
  },
  softmaxKind: null,
  softmax: () => ({
    softmax: { kind: 'float', bits: 16 },
    fractionBits: SCORE_BITS,
    scoreUnit: SCORE_UNIT,
    weightUnit: 2 ** -16,
  }),
};
