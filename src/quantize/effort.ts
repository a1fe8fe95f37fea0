import type { Effort } from './options.js';

/** What an effort spends: how much data a model is fitted to, and how hard the fit tries. */
export interface EffortSettings {
  /** Most calibration images, where the user gives no number. */
  readonly images: number;
  /** Images made up where there are none. */
  readonly syntheticImages: number;
  /** Rows of each layer that are looked at in one image. */
  readonly rowsPerImage: number;
  /**
   * Runs of the float model to find what needs more than 8 bits: each image takes one for every input, softmax and
   * layer.
   */
  readonly sensitivityRuns: number;
  /** Most multiply-adds of all those runs: large models are measured on fewer images, at least one. */
  readonly sensitivityMacs: number;
  /** Ridge strengths of the weight correction that are tried; none: no correction. */
  readonly ridges: readonly number[];
}

export const EFFORT_SETTINGS: Readonly<Record<Effort, EffortSettings>> = {
  none: { images: 256, syntheticImages: 128, rowsPerImage: 32, sensitivityRuns: 0, sensitivityMacs: 0, ridges: [] },
  fast: { images: 64, syntheticImages: 64, rowsPerImage: 32, sensitivityRuns: 128, sensitivityMacs: 1e13, ridges: [] },
  normal: {
    images: 256,
    syntheticImages: 128,
    rowsPerImage: 64,
    sensitivityRuns: 320,
    sensitivityMacs: 2e13,
    ridges: [0.1, 1, 10],
  },
  best: {
    images: 512,
    syntheticImages: 256,
    rowsPerImage: 128,
    sensitivityRuns: 1280,
    sensitivityMacs: 8e13,
    ridges: [0.03, 0.1, 0.3, 1, 3, 10, 30],
  },
};
