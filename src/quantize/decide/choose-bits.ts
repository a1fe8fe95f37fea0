/** Where more bits are worth what they cost. */
import type { Sensitive } from './bit-widths.js';
import type { Sensitivities, Sensitivity } from './sensitivity.js';

/**
 * Least share of the whole error that is worth a share of work or file: the model is to be as near to float as its
 * speed allows.
 */
const LEAST_WORTH = 1 / 3;

/**
 * Where errors together would be more than this share of the output's energy (21 dB), the model is poor: more work than
 * usual is worth it, until they are no more.
 */
const POOR = 10 ** -2.1;

/** What a share of the file costs, beside the same share of work. */
const FILE_COST = 1 / 2;

/**
 * What to give more bits: what takes the most error away for its cost, as long as the share of the whole error that
 * each takes away is at least a third of its cost, and all together add no more than `most` to the work of linear
 * layers, or `mostOfPoor` where the model would be poor else. The cost is the share that it adds to that work, plus
 * half the share that it adds to the file's weights.
 */
export function chooseSensitive(
  { inputs, softmax, weights, otherWeights, work, weightBytes }: Omit<Sensitivities, 'widths'>,
  most: number,
  mostOfPoor = most,
): Omit<Sensitive, 'weightBits'> {
  const chosen = { inputs: new Set<string>(), softmax: new Set<string>(), weights: new Set<string>() };
  const listed = (values: ReadonlyMap<string, Sensitivity>, to: Set<string>) =>
    [...values].map(([id, { error, macs, bytes }]) => ({
      id,
      to,
      error,
      macs,
      cost: macs / work + FILE_COST * (bytes / weightBytes),
    }));
  const all = [
    ...listed(inputs, chosen.inputs),
    ...listed(softmax, chosen.softmax),
    ...listed(weights, chosen.weights),
  ];
  const error = all.reduce((sum, value) => sum + value.error, otherWeights);
  let spent = 0;
  let left = error;
  for (const value of all.sort((a, b) => b.error / b.cost - a.error / a.cost)) {
    if (value.error < LEAST_WORTH * error * value.cost) break;
    if (spent + value.macs > (left > POOR ? mostOfPoor : most) * work) continue;
    spent += value.macs;
    left -= value.error;
    value.to.add(value.id);
  }
  return chosen;
}
