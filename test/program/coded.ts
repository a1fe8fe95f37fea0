/** Layers whose weights are coded, at random. */
import type { Random } from '../../src/images/random.js';
import { decodeWeights, groupsOf, type Coding } from '../../src/program/codebook.js';

/** The fields of a linear op of coded weights; extreme levels and factors are drawn often. */
export function codedWeights(
  random: Random,
  { cols, inFeatures }: { readonly cols: number; readonly inFeatures: number },
): Coding & { readonly weight: Int8Array } {
  const weightBits = 2 + random.integer(6);
  const groupSize = 2 ** random.integer(7);
  const pick = (least: number, most: number): number =>
    [least, most, least + random.integer(most - least + 1)][random.integer(3)];
  const codebook = Int8Array.from({ length: 2 ** weightBits }, () => pick(-88, 88));
  const factor = Int8Array.from({ length: cols * groupsOf(inFeatures, groupSize) }, () => pick(-8, 7));
  const half = 2 ** (weightBits - 1);
  const codes = Int8Array.from({ length: cols * inFeatures }, () => pick(-half, half - 1));
  const coding = { weightBits, groupSize, codebook, factor };
  return { ...coding, weight: decodeWeights(codes, inFeatures, coding) };
}
