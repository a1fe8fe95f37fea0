import { availableParallelism } from 'node:os';
import { InputError } from '../../src/errors.js';
import { DEFAULT_OPTIONS, calibrate, fitCalibrated, resolveScheme } from '../../src/quantize/index.js';
import type { Agreement, QuantizeOptions, Techniques } from '../../src/quantize/index.js';
import { normalizationOf } from '../../src/api/float-input.js';
import { calibrationImages } from '../../src/api/calibration-images.js';
import { importWithRecipe } from '../../src/api/recipe.js';

export interface AblationRequest {
  readonly model: string;
  /** Folder or list of images; `fit` of them are fitted to, another `held` compared on. */
  readonly images: string;
  readonly fit: number;
  readonly held: number;
  readonly options?: Partial<QuantizeOptions>;
  readonly onRow?: (row: AblationRow) => void;
}

export interface AblationRow {
  /** What was left out. */
  readonly left: string;
  readonly agreement: Agreement;
  readonly seconds: number;
}

type Change = (techniques: Techniques) => Techniques;

const withoutCorrection: Change = (s) => ({ ...s, fit: { ...s.fit, ridges: [] } });
const roundedToNearest: Change = (s) => ({ ...s, fit: { ...s.fit, roundsInOrder: false } });
const perTensor: Change = (s) => ({ ...s, perChannelInputs: false });
const symmetric: Change = (s) => ({ ...s, range: { ...s.range, centred: false } });
const asObserved: Change = (s) => ({ ...s, range: { ...s.range, rangeMargins: [1], clipWeight: 0 } });
const fewRowsIn8Bits: Change = (s) => ({ ...s, fewRows: 0 });
const oneWeightPlane: Change = (s) => ({ ...s, residualPlanes: false });
const sensitiveIn8Bits: Change = (s) => ({ ...s, sensitiveWork: 0 });
const OF_ALL = [
  withoutCorrection,
  roundedToNearest,
  perTensor,
  symmetric,
  asObserved,
  fewRowsIn8Bits,
  oneWeightPlane,
  sensitiveIn8Bits,
];

/** What can be left out. */
const TECHNIQUES: readonly (readonly [left: string, change: Change])[] = [
  ['nothing', (s) => s],
  ['closed-form weight correction', withoutCorrection],
  ['GPTQ rounding (nearest instead)', roundedToNearest],
  ['weight correction and GPTQ rounding', (s) => withoutCorrection(roundedToNearest(s))],
  ['input scales per channel (one a tensor)', perTensor],
  ['centred ranges (symmetric instead)', symmetric],
  ['regard to unseen images (ranges as observed)', asObserved],
  ['16-bit inputs of the rows that the output reads', fewRowsIn8Bits],
  ['12-bit weights of these rows', oneWeightPlane],
  ['more bits where the logits are most sensitive', sensitiveIn8Bits],
  ['all of these', (s) => OF_ALL.reduce((all, change) => change(all), s)],
];

/**
 * Quantizes a model once for each technique, leaving that one out, and compares each with the float model on images
 * that nothing was fitted to. The float model runs once.
 *
 * @throws InputError where there are fewer images than asked for
 */
export async function ablate({
  model,
  images,
  fit,
  held,
  options: changed,
  onRow,
}: AblationRequest): Promise<AblationRow[]> {
  const { imported, recipe } = await importWithRecipe(model, {}, () => undefined);
  const drawn = await calibrationImages({ images, numImages: fit + held }, recipe, () => undefined);
  if (drawn.images.length < fit + held)
    throw new InputError(`${images} has ${drawn.images.length} usable images, fewer than ${fit} + ${held}`);
  const options = { ...DEFAULT_OPTIONS, ...changed };
  const request = {
    graph: imported.graph,
    images: drawn.images,
    normalization: normalizationOf(recipe),
    options,
    threads: availableParallelism(),
  };
  const scheme = resolveScheme(options);
  const calibration = await calibrate(request, { images: drawn.images, fitImages: fit }, scheme);
  const rows: AblationRow[] = [];
  try {
    for (const [left, change] of TECHNIQUES) {
      const start = performance.now();
      const { agreement } = await fitCalibrated(request, calibration, {
        ...scheme,
        techniques: change(scheme.techniques),
      });
      const row = { left, agreement, seconds: (performance.now() - start) / 1000 };
      rows.push(row);
      onRow?.(row);
    }
  } finally {
    calibration.collected.samples.close();
  }
  return rows;
}
