import { UsageError } from '../../errors.js';
import { DEFAULT_OPTIONS, type KernelSet, type QuantizeOptions } from '../options.js';
import { INPUT_SCHEMES } from './inputs.js';
import { floatKernels } from './float.js';
import { ibertKernels } from './ibert.js';
import type { KernelScheme } from './kernel-scheme.js';
import { lutKernels, shiftKernels } from './own-kernels.js';
import { paperKernels } from './paper.js';
import type { Scheme } from './scheme.js';

export type { Scheme } from './scheme.js';

/** What each value of `--kernels` means. A new set is a file beside this one, and a line here. */
const KERNEL_SCHEMES: Readonly<Record<KernelSet, KernelScheme>> = {
  shift: shiftKernels,
  lut: lutKernels,
  paper: paperKernels,
  ibert: ibertKernels,
  float: floatKernels,
};

/**
 * Resolves the user's options: nothing but this reads `--kernels` and `--scales`.
 *
 * @param synthetic whether the images are made up
 * @throws UsageError for options that exclude each other
 */
export function resolveScheme(options: QuantizeOptions, synthetic = false): Scheme {
  const kernels = KERNEL_SCHEMES[options.kernels];
  const techniques = kernels.techniques(options, synthetic);
  const { scales, layerBits, layerWeightBits, weightBits, target } = options;
  if (target !== null && weightBits !== DEFAULT_OPTIONS.weightBits)
    throw new UsageError(
      `--weight-bits ${weightBits} is for all layers, a target shares bits out among them: give one of them, or ` +
        'patterns (--weight-bits head=8)',
    );
  return { kernels, inputs: INPUT_SCHEMES[scales], techniques, layerBits, layerWeightBits, target };
}
