/** Which images of a dataset a run is to do. */

/** One of `count` parts of a run, counted from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** What the images of a shard follow from. */
export interface Choice {
  /** How many images the dataset has. */
  readonly items: number;
  /** Only so many of them are wanted; null: all. */
  readonly limit: number | null;
}

/** How many images all shards do together. */
const wantedImages = ({ items, limit }: Choice): number => Math.min(limit ?? items, items);

/** Of the images that are wanted, the first of a shard: the last is before the first of the next. */
const startOf = (wanted: number, index: number, count: number): number => Math.floor(((index - 1) * wanted) / count);

/**
 * The images of a shard: of `limit` items spread evenly, so that a dataset sorted by class is not cut to its first
 * classes, one of `count` runs of about one length.
 *
 * @returns indices into the dataset, ascending
 */
export function chosenIndices(choice: Choice, { index, count }: Shard): number[] {
  const wanted = wantedImages(choice);
  const from = startOf(wanted, index, count);
  return Array.from({ length: startOf(wanted, index + 1, count) - from }, (_, i) =>
    Math.floor(((from + i) * choice.items) / wanted),
  );
}

/**
 * The shards, of `count`, that some of the wanted images fall into.
 *
 * @param missing indices into the dataset
 * @returns the shards' indices, ascending
 */
export function shardsOf(choice: Choice, count: number, missing: ReadonlySet<number>): number[] {
  const wanted = wantedImages(choice);
  const shards = new Set<number>();
  chosenIndices(choice, { index: 1, count: 1 }).forEach((item, place) => {
    if (!missing.has(item)) return;
    // Rounding may lead to a neighbour.
    let index = Math.ceil(((place + 1) * count) / wanted);
    while (startOf(wanted, index + 1, count) <= place) index++;
    while (startOf(wanted, index, count) > place) index--;
    shards.add(index);
  });
  return [...shards];
}
