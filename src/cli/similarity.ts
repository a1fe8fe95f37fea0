/** How outputs that are no classes compare with the float model's, for people. */
import { describeOutput } from '../metrics/output.js';
import type { OutputAgreement } from '../metrics/similarity.js';
import { decibels } from './render.js';

/** A row for each output. */
export function similarityRows(outputs: readonly OutputAgreement[]): [string, string][] {
  return outputs.map((output, i) => [
    i > 0 ? '' : 'outputs',
    `${describeOutput(output)}: SQNR ${decibels(output.sqnrDb)} dB, cosine ${output.cosine.toFixed(4)}`,
  ]);
}
