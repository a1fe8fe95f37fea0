/** What `ivit quantize` warns of once the integer model is compared with the float one. */
import type { QuantizeSummary } from '../api/summary.js';
import { isPoor, worstLayers } from '../quantize/index.js';
import { decibels, percent, someOf, warn } from './render.js';

const WORST_LAYERS = 5;

export function warnOfAgreement(summary: QuantizeSummary): void {
  warnIfConstant(summary);
  warnIfPoor(summary);
}

function warnIfConstant({ constantOutputs }: QuantizeSummary): void {
  if (constantOutputs.length === 0) return;
  warn(
    `the float model gives the same numbers for every held-out image (${someOf(constantOutputs)}), so how near the ` +
      'integer model is to them says nothing. Check the model, the pre-processing and the calibration images',
  );
}

function warnIfPoor({ outputs, layers, constantOutputs }: QuantizeSummary): void {
  const telling = outputs.filter(({ name }) => !constantOutputs.includes(name));
  if (!isPoor(telling)) return;
  const { name, top1Agreement, sqnrDb } = telling.reduce((a, b) => (b.sqnrDb < a.sqnrDb ? b : a));
  const worst = worstLayers(layers, WORST_LAYERS).map((layer) => `${layer.name} (${decibels(layer.sqnrDb)} dB)`);
  warn(
    `the integer model agrees poorly with the float model ` +
      `(${outputs.length === 1 ? '' : `${name}: `}${top1Agreement === null ? '' : `${percent(top1Agreement)}, `}` +
      `SQNR ${decibels(sqnrDb)} dB). ` +
      'Check the pre-processing and the calibration images; try --kernels lut or --scales dynamic. Worst layers: ' +
      `${worst.join(', ')}`,
  );
}
