/** Layers that are alike but for the numbers in their names, as the blocks of a network are, in one line. */

interface Named {
  readonly name: string;
}

export interface Fold<T> {
  /** `blocks.0-11.attn.qkv` */
  readonly name: string;
  readonly members: readonly T[];
}

/** A number that is a part of a name by itself, the 2 of `blocks.2.fc1`, or what has been made of several. */
const NUMBERS = /(?<=^|[./_])\d+(?:[-,]\d+)*(?=$|[./_])/g;

/**
 * Folds at the last number of names first, so that the blocks of each stage are folded before the stages are.
 *
 * @param alike what must be equal for two layers to be shown as one
 * @returns in the order of the first member of each
 */
export function fold<T extends Named>(layers: readonly T[], alike: (layer: T) => string): Fold<T>[] {
  let folds: Fold<T>[] = layers.map((layer) => ({ name: layer.name, members: [layer] }));
  const most = Math.max(0, ...layers.map(({ name }) => name.match(NUMBERS)?.length ?? 0));
  for (let fromEnd = 1; fromEnd <= most; fromEnd++) folds = foldAt(folds, fromEnd, alike);
  return folds;
}

function foldAt<T extends Named>(folds: readonly Fold<T>[], fromEnd: number, alike: (layer: T) => string): Fold<T>[] {
  const groups = new Map<string, { before: string; after: string; numbers: number[]; folds: Fold<T>[] }>();
  for (const one of folds) {
    const found = [...one.name.matchAll(NUMBERS)].at(-fromEnd);
    const match = /^\d+$/.test(found?.[0] ?? '') ? found : undefined;
    const before = one.name.slice(0, match?.index);
    const after = match === undefined ? '' : one.name.slice(match.index + match[0].length);
    const key = JSON.stringify([before, match === undefined ? '' : after, match !== undefined, alike(one.members[0]!)]);
    const group = groups.get(key) ?? { before, after, numbers: [], folds: [] };
    groups.set(key, group);
    group.folds.push(one);
    if (match !== undefined) group.numbers.push(Number(match[0]));
  }
  return [...groups.values()].flatMap(({ before, after, numbers, folds: alikes }) =>
    alikes.length === 1 || numbers.length === 0
      ? alikes
      : [{ name: before + rangesOf(numbers) + after, members: alikes.flatMap(({ members }) => members) }],
  );
}

/** `0-3,5` */
function rangesOf(numbers: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range?.[1] === number - 1) range[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}

/** `24`, or `22 to 24` where members differ; nothing where none has a number. */
export function rangeText(values: readonly (number | null)[]): string {
  const numbers = values.filter((value) => value !== null);
  if (numbers.length === 0) return '';
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return least === most ? String(least) : `${least} to ${most}`;
}
