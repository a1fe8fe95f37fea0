import type { Effort, QuantizeOptions, ScaleMode } from './options.js';
import { FEW_ROWS } from './output-rows.js';
import { publishedSettings } from './build/published.js';
import type { SequenceSettings } from './settings.js';

/** What an effort spends: how much data a model is fitted to, and how hard the fit tries. */
export interface EffortSettings {
  /** Most calibration images, where the user gives no number. */
  readonly images: number;
  /** Images made up where there are none. */
  readonly syntheticImages: number;
  /** Rows of each layer that are looked at in one image. */
  readonly rowsPerImage: number;
  /** Runs of the float model to find what needs more than 8 bits: each image takes one for every input, softmax and layer. */
  readonly sensitivityRuns: number;
  /** Ridge strengths of the compensation that are tried; none: no compensation. */
  readonly ridges: readonly number[];
}

export const EFFORT_SETTINGS: Readonly<Record<Effort, EffortSettings>> = {
  fast: { images: 64, syntheticImages: 64, rowsPerImage: 32, sensitivityRuns: 128, ridges: [] },
  normal: { images: 256, syntheticImages: 128, rowsPerImage: 64, sensitivityRuns: 640, ridges: [0.1, 1, 10] },
  best: {
    images: 512,
    syntheticImages: 256,
    rowsPerImage: 128,
    sensitivityRuns: 1280,
    ridges: [0.03, 0.1, 0.3, 1, 3, 10, 30],
  },
};

/**
 * The ridge strength for images that were made up: strong, as what they say of the errors' directions holds for photographs
 * in part only. With 0.1 to 10, dynamic scales and no data cost ViT-Tiny 4 dB.
 */
const SYNTHETIC_RIDGES = [100];

/**
 * What more bits of sensitive inputs and softmax weights may cost, beside all multiply-adds of linear layers in 8 bits. Who
 * asks for dynamic scales asks for accuracy before speed.
 */
const SENSITIVE_WORK: Readonly<Record<ScaleMode, number>> = { static: 0.11, dynamic: 0.15 };

/**
 * Every technique switched on, as hard as the effort says; none for the published kernels.
 *
 * @param synthetic whether the images are made up
 */
export function sequenceSettings(options: QuantizeOptions, synthetic = false): SequenceSettings {
  if (options.kernels === 'paper') return publishedSettings(options);
  const { ridges } = EFFORT_SETTINGS[options.effort];
  return {
    options,
    range: { method: options.method, headRooms: [1, 1.25, 1.5, 2], clipWeight: 16, centred: true },
    fit: {
      weightBits: options.weightBits,
      ridges: synthetic && ridges.length > 0 ? SYNTHETIC_RIDGES : ridges,
      secondOrder: true,
    },
    perChannelInputs: true,
    fewRows: FEW_ROWS,
    // Who asks for fewer bits wants a small file.
    secondWeightPlanes: options.weightBits === 8,
    sensitiveWork: SENSITIVE_WORK[options.scales],
  };
}
