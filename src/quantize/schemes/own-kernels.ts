import { activations } from '../../graph/activations.js';
import { activationKnots } from '../../kernels/prepare.js';
import type { SoftmaxKind } from '../../program/types.js';
import { SCORE_BITS, SCORE_UNIT } from '../build/scores.js';
import { CURVE_BITS } from '../decide/encoding.js';
import { EFFORT_SETTINGS } from '../effort.js';
import type { QuantizeOptions } from '../options.js';
import { FEW_ROWS, plainTechniques, type Techniques } from '../techniques.js';
import type { KernelScheme } from './kernel-scheme.js';
import { INPUT_SCHEMES } from './inputs.js';

/**
 * The ridge strength for images that were made up: strong, as what they say of the errors' directions holds for
 * photographs in part only. With 0.1 to 10, dynamic scales and no data cost ViT-Tiny 4 dB.
 */
const SYNTHETIC_RIDGES = [100];

/** Half of the knots then cover all inputs of 16 bits, and H(a) = a/2, as it is of small values, fits at each. */
const WIDEST_SPACING = 10;

/** With fewer fraction bits a step is a good part of the curve, of which the shift form knows too little. */
const FEWEST_SHIFT_BITS = 6;

/** Every technique switched on, as hard as the effort says, or none. */
function techniques(options: QuantizeOptions, synthetic: boolean): Techniques {
  if (options.effort === 'none') return plainTechniques(options);
  const { ridges } = EFFORT_SETTINGS[options.effort];
  return {
    range: { method: options.method, rangeMargins: [1, 1.25, 1.5, 2], clipWeight: 16, centred: true },
    fit: {
      weightBits: options.weightBits,
      ridges: synthetic && ridges.length > 0 ? SYNTHETIC_RIDGES : ridges,
      roundsInOrder: true,
      correctsBias: true,
    },
    separatesOutputRows: true,
    choosesScales: true,
    perChannelInputs: true,
    fewRows: FEW_ROWS,
    // Who asks for fewer bits wants a small file.
    residualPlanes: options.weightBits === 8 && options.layerWeightBits.length === 0 && options.target === null,
    sensitiveWork: INPUT_SCHEMES[options.scales].sensitiveWork,
    poorWork: INPUT_SCHEMES[options.scales].poorWork,
    room: 1,
  };
}

/**
 * Our own kernels, made fit for post-training use.
 *
 * @param isExact whether activation tables hold the function itself, or its shift form
 */
function ownKernels(softmaxKind: SoftmaxKind, isExact: boolean): KernelScheme {
  return {
    techniques,
    normOp: 'layerNorm',
    activationInput: () => null,
    activation: ({ kind }, input) => {
      const { evenPart, shiftForm, reachBits } = activations[kind];
      const fractionBits = -Math.log2(input.scale[0]);
      const spacing = Math.max(0, Math.min(WIDEST_SPACING, fractionBits + reachBits - 6));
      // The shift form errs by more than values near to zero are.
      const hasCurve = fractionBits >= FEWEST_SHIFT_BITS && fractionBits <= CURVE_BITS;
      const form = isExact || !hasCurve ? evenPart : (shiftForm ?? evenPart);
      const knots = activationKnots(form, fractionBits, spacing);
      return { kernel: { op: 'activation', knots, spacing }, unit: input.scale[0] };
    },
    softmaxKind,
    rowSoftmaxKind: softmaxKind,
    softmax: () => ({
      softmax: softmaxKind,
      fractionBits: SCORE_BITS,
      scoreUnit: SCORE_UNIT,
      weightUnit: 2 ** -23,
    }),
  };
}

/** Linear mantissa of the exponential, and activations in their shift form (I-ViT, arXiv 2207.01405). */
export const shiftKernels = ownKernels('shift', false);
/** Quadratic mantissa, and activations as they are. */
export const lutKernels = ownKernels('quadratic', true);
