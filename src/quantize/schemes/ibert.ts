/**
 * `--kernels ibert`: i-softmax, i-GELU and I-LayerNorm of I-BERT (arXiv 2101.01321). The latter is the op `layerNorm`,
 * whose root is I-BERT's; other activations than GELU, and softmax by itself, are those of `lut`.
 */
import { SCORE_BITS, SCORE_UNIT } from '../build/scores.js';
import type { KernelScheme } from './kernel-scheme.js';
import { lutKernels } from './own-kernels.js';

/** As many as Shiftmax has in `--kernels paper`: with the 8 of I-BERT's code a weight of 1/197 is hardly a step. */
const SOFTMAX_BITS = 16;
/** Real value of one step of i-GELU's result, in steps of its input. */
const GELU_UNIT = 0.2888 * 2 ** -14;

export const ibertKernels: KernelScheme = {
  ...lutKernels,
  activation(node, input) {
    if (node.kind !== 'gelu' && node.kind !== 'geluTanh') return lutKernels.activation(node, input);
    const fractionBits = -Math.log2(input.scale[0]);
    return { kernel: { op: 'ibertGelu', fractionBits }, unit: input.scale[0] * GELU_UNIT };
  },
  softmaxKind: null,
  softmax: () => ({
    softmax: { kind: 'ibert', bits: SOFTMAX_BITS },
    fractionBits: SCORE_BITS,
    scoreUnit: SCORE_UNIT,
    weightUnit: 2 ** -SOFTMAX_BITS,
  }),
};
