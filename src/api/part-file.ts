/**
 * What a run of `ivit eval` found, image by image, in a file of JSON lines: a header that says of what, a row for each
 * image, and an end with a checksum.
 */
import * as v from 'valibot';
import type { ImageRow, SkippedRow } from '../metrics/image-row.js';
import type { ModelOutput } from '../metrics/output.js';
import { chosenIndices } from './shard.js';
import type { Shard } from './shard.js';

export type Row = ImageRow | SkippedRow;

export interface PartHeader {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  readonly tool: string;
  readonly model: { readonly name: string; readonly hash: string; readonly labels: readonly string[] | null };
  readonly classes: number;
  readonly outputs: readonly ModelOutput[];
  readonly dataset: {
    readonly source: string;
    /** Of the names and classes of all images. */
    readonly digest: string;
    readonly images: number;
    readonly unread: Readonly<Record<string, number>>;
  };
  readonly settings: { readonly limit: number | null; readonly exif: 'apply' | 'ignore' };
  /** The float model that was run beside, by the hash of its file; null where none was. */
  readonly float: { readonly sha256: string; readonly runtime: string } | null;
  readonly shard: Shard;
}

export interface PartEnd {
  readonly end: true;
  readonly rows: number;
  /** How many images were timed, and for how long together: those of the last run, where a killed one was resumed. */
  readonly timed: number;
  readonly seconds: number;
  /** CRC-32 of all lines before. */
  readonly crc: number;
}

export const FORMAT = 'ivit evaluation';
export const VERSION = 1;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const text = v.string();
const isListOf = (type: 'string' | 'number') => (value: unknown) =>
  Array.isArray(value) && value.every((one) => typeof one === type);
/** Lists that may have a million entries: a schema of each would take seconds. */
const texts = v.custom<string[]>(isListOf('string'));
const numbers = v.custom<number[]>(isListOf('number'));
/** NaN is null in JSON. */
const figure = v.nullable(v.number());
const pair = { same: v.boolean(), kl: figure, signal: figure, noise: figure };

export const HeaderSchema = v.looseObject({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  tool: text,
  model: v.object({ name: text, hash: text, labels: v.nullable(texts) }),
  classes: count,
  outputs: v.array(
    v.looseObject({ name: text, shape: v.array(count), start: count, tail: v.array(v.any()), isClasses: v.boolean() }),
  ),
  dataset: v.object({ source: text, digest: text, images: count, unread: v.record(text, count) }),
  settings: v.object({ limit: v.nullable(count), exif: v.picklist(['apply', 'ignore']) }),
  float: v.nullable(v.object({ sha256: text, runtime: text })),
  shard: v.object({ index: count, count }),
});

export const RowSchema = v.union([
  v.strictObject({ index: count, path: text, skipped: text }),
  v.strictObject({
    index: count,
    path: text,
    label: v.nullable(v.union([count, v.array(count)])),
    prediction: v.nullable(count),
    probability: v.nullable(v.number()),
    rank: v.nullable(count),
    ms: v.number(),
    turned: v.optional(v.literal(true)),
    coloured: v.optional(v.literal(true)),
    digest: text,
    scores: v.optional(numbers),
    float: v.optional(
      v.object({
        prediction: v.nullable(count),
        rank: v.nullable(count),
        scores: v.object(pair),
        outputs: v.array(v.object({ ...pair, cosine: figure })),
      }),
    ),
  }),
]);

export const EndSchema = v.object({ end: v.literal(true), rows: count, timed: count, seconds: v.number(), crc: count });

export function partHeader(content: Omit<PartHeader, 'format' | 'version'>): PartHeader {
  return { format: FORMAT, version: VERSION, ...content };
}

/** Why two headers are not of one run, whatever the shards; null where they are. */
export function headerDifference(a: PartHeader, b: PartHeader): string | null {
  const differs = (of: (header: PartHeader) => unknown) => JSON.stringify(of(a)) !== JSON.stringify(of(b));
  if (differs(({ model }) => model.hash)) return `of another model (${a.model.name}, ${a.model.hash})`;
  if (differs(({ dataset: { digest, images } }) => [digest, images]))
    return `of another dataset (${a.dataset.source}: ${a.dataset.images} images; names or classes differ)`;
  if (differs(({ settings }) => settings)) return `of other settings (${JSON.stringify(a.settings)})`;
  if (differs(({ float }) => float?.sha256))
    return a.float === null ? 'without the float model' : 'with another float model';
  return null;
}

/** The images that a part is of, in the order of its rows. */
export function chosenBy({ dataset, settings, shard }: PartHeader): number[] {
  return chosenIndices({ items: dataset.images, limit: settings.limit }, shard);
}
