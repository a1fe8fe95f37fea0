/**
 * Calibration statistics in a file, to be merged and used again: a safetensors container (of the kind that `.ivit`
 * files are), compressed by gzip. Of every value it holds `<id>.ranges`, [9, channels], and `<id>.histogram`,
 * [channels, bins], doubles whose bits are stored as I64; the metadata say which model and pre-processing they belong
 * to.
 */
import { readFile } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { ChannelStatistics } from '../calibrate/statistics.js';
import { InputError } from '../errors.js';
import { nearFile } from '../near-file.js';
import { requireRegularFile } from '../regular-file.js';
import type { Graph } from '../graph/types.js';
import { decodeContainer, encodeContainer } from '../program/container.js';
import type { Tensor } from '../program/container.js';
import { writeAtomically } from '../program/file.js';
import type { Shard } from './shard.js';

type Statistics = ReadonlyMap<string, ChannelStatistics>;

/** What statistics depend on besides the images: they can be merged and used only where all of it is the same. */
export interface StatisticsSubject {
  /** SHA-256 of the ONNX file. */
  readonly sha256: string;
  /** The input's size, and the mean and standard deviation that normalize it. */
  readonly preprocessing: string;
}

/** Statistics of several files. */
export interface SavedStatistics {
  readonly statistics: Map<string, ChannelStatistics>;
  /** Of the quantizations that saved them: their calibration images (see `digestOfImages`), which they are of. */
  readonly images: ReadonlySet<string>;
}

/** Which part of a calibration statistics are of. */
export interface StatisticsShard extends Shard {
  /** Says which images all the parts are of. */
  readonly images: string;
}

const FORMAT = 'ivit statistics';
const VERSION = '2';
const AGAIN = 'Make them again with --save-stats';
const FIELDS = [
  'min',
  'max',
  'nextMin',
  'nextMax',
  'momentumMin',
  'momentumMax',
  'sum',
  'sumOfSquares',
  'reach',
] as const;
/** More parts than anyone makes. */
const MAX_SHARDS = 1e6;
/** Uncompressed: 2 GiB are the statistics of far larger models than can be quantized. */
const MAX_BYTES = 2 ** 31;

export function statisticsSubject(
  sha256: string,
  { input }: Graph,
  mean: readonly number[],
  std: readonly number[],
): StatisticsSubject {
  return { sha256, preprocessing: JSON.stringify({ size: [input.height, input.width], mean, std }) };
}

/**
 * @param of the part of the images that they are of, or all calibration images of a quantization
 * @throws InputError where the file cannot be written
 */
export function saveStatistics(
  file: string,
  statistics: Statistics,
  subject: StatisticsSubject,
  of: { readonly shard: StatisticsShard } | { readonly images: string },
): void {
  const tensors = new Map<string, Tensor>();
  const counts: Record<string, [images: number, count: number]> = {};
  for (const [id, one] of statistics) {
    if (!one.withHistogram) throw new RangeError(`the statistics of ${id} have no histograms`);
    const ranges = new Float64Array(FIELDS.length * one.channels);
    FIELDS.forEach((field, i) => ranges.set(one[field], i * one.channels));
    tensors.set(`${id}.ranges`, bitsOf(ranges, [FIELDS.length, one.channels]));
    tensors.set(`${id}.histogram`, bitsOf(one.histogram, [one.channels, ChannelStatistics.bins]));
    counts[id] = [one.images, one.count];
  }
  const metadata = new Map([
    ['format', FORMAT],
    ['version', VERSION],
    ['model', subject.sha256],
    ['preprocessing', subject.preprocessing],
    ['counts', JSON.stringify(counts)],
    'shard' in of ? (['shard', JSON.stringify(of.shard)] as const) : (['images', of.images] as const),
  ]);
  writeAtomically(file, gzipSync(encodeContainer({ metadata, tensors })));
}

/**
 * Reads and merges statistics.
 *
 * @param channels of every value that the statistics must cover, by node id
 * @throws InputError naming the file that cannot be read, or belongs to another model or pre-processing
 */
export async function loadStatistics(
  files: readonly string[],
  subject: StatisticsSubject,
  channels: ReadonlyMap<string, number>,
): Promise<SavedStatistics> {
  const merged = new Map<string, ChannelStatistics>();
  const allImages = new Set<string>();
  const shards: { readonly file: string; readonly shard: StatisticsShard }[] = [];
  for (const file of files) {
    const { statistics, shard, images } = await readStatistics(file, subject, channels);
    if (images !== undefined) allImages.add(images);
    if (shard !== undefined) shards.push({ file, shard });
    for (const [id, one] of statistics) {
      const known = merged.get(id);
      if (known === undefined) merged.set(id, one);
      else known.merge(one);
    }
  }
  requireWhole(shards);
  return { statistics: merged, images: allImages };
}

/** @throws InputError where parts of a calibration are of other images, come twice, or are missing */
function requireWhole(shards: readonly { readonly file: string; readonly shard: StatisticsShard }[]): void {
  const [first] = shards;
  if (first === undefined) return;
  const { images, count } = first.shard;
  const found = new Map<number, string>();
  for (const { file, shard } of shards) {
    if (shard.images !== images || shard.count !== count)
      throw new InputError(
        `${file}, shard ${shard.index}/${shard.count}, is of other images or of another split than ${first.file}, ` +
          `shard ${first.shard.index}/${count}: give the files of one split`,
      );
    const other = found.get(shard.index);
    if (other !== undefined)
      throw new InputError(`${file} and ${other} are the same shard, ${shard.index}/${count}: leave one out`);
    found.set(shard.index, file);
  }
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter((index) => !found.has(index));
  if (missing.length > 0)
    throw new InputError(
      `Statistics of shards ${missing.map((index) => `${index}/${count}`).join(', ')} are missing: run ivit quantize ` +
        'with --shard and each of them, and give the files together',
    );
}

async function readStatistics(
  file: string,
  subject: StatisticsSubject,
  channels: ReadonlyMap<string, number>,
): Promise<{ statistics: Statistics; shard: StatisticsShard | undefined; images: string | undefined }> {
  const { metadata, tensors } = await readContainer(file);
  if (metadata.get('format') !== FORMAT)
    throw new InputError(`${file} holds no calibration statistics: ivit quantize --save-stats writes them`);
  if (metadata.get('version') !== VERSION)
    throw new InputError(
      `${file} holds statistics of version ${metadata.get('version')}; this program reads version ${VERSION}. ${AGAIN}`,
    );
  if (metadata.get('model') !== subject.sha256)
    throw new InputError(
      `${file} holds statistics of another model; statistics belong to the very ONNX file they were made from. ` +
        AGAIN,
    );
  if (metadata.get('preprocessing') !== subject.preprocessing) {
    throw new InputError(
      `${file} holds statistics of another pre-processing: ${metadata.get('preprocessing')}, here ` +
        `${subject.preprocessing}. Give the options of that run, or make them again with --save-stats`,
    );
  }
  const counts = parseCounts(file, metadata.get('counts'));
  const ids = new Set([...tensors.keys()].map((name) => name.slice(0, name.lastIndexOf('.'))));
  const missing = [...channels.keys()].find((id) => !ids.has(id)) ?? [...ids].find((id) => !channels.has(id));
  if (missing !== undefined)
    throw new InputError(
      `${file} holds statistics of other values than this program reads from the model (${missing}). Make them ` +
        'again with --save-stats',
    );
  const statistics = new Map<string, ChannelStatistics>();
  for (const [id, C] of channels) {
    const one = new ChannelStatistics(C);
    const ranges = doublesOf(tensors.get(`${id}.ranges`), FIELDS.length * C);
    const histogram = doublesOf(tensors.get(`${id}.histogram`), C * ChannelStatistics.bins);
    const [images, count] = counts.get(id) ?? [];
    if (ranges === null || histogram === null || images === undefined || count === undefined)
      throw new InputError(`${file} is damaged: the statistics of ${id} are not complete. ${AGAIN}`);
    FIELDS.forEach((field, i) => one[field].set(ranges.subarray(i * C, (i + 1) * C)));
    one.histogram.set(histogram);
    one.images = images;
    one.count = count;
    statistics.set(id, one);
  }
  return { statistics, shard: parseShard(file, metadata.get('shard')), images: metadata.get('images') };
}

async function readContainer(file: string): Promise<ReturnType<typeof decodeContainer>> {
  requireRegularFile(file);
  const compressed = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new InputError(
      error.code === 'ENOENT'
        ? `${file}: there is no such file${nearFile(file)}`
        : `${file}: cannot be read (${error.message})`,
      { cause: error, code: error.code === 'ENOENT' ? 'NOT_FOUND' : 'BAD_FILE' },
    );
  });
  try {
    // A copy of its own starts at an aligned address.
    return decodeContainer(Uint8Array.from(gunzipSync(compressed, { maxOutputLength: MAX_BYTES })));
  } catch (error) {
    throw new InputError(`${file} is no file of calibration statistics, or a damaged one. ${AGAIN}`, { cause: error });
  }
}

function parseShard(file: string, json: string | undefined): StatisticsShard | undefined {
  if (json === undefined) return undefined;
  try {
    const { index, count, images } = JSON.parse(json) as StatisticsShard;
    const isShard = Number.isSafeInteger(count) && Number.isSafeInteger(index) && index >= 1 && index <= count;
    if (isShard && count <= MAX_SHARDS && typeof images === 'string') return { index, count, images };
  } catch {
    // Told below.
  }
  throw new InputError(`${file} is damaged: it does not say which shard it is of. ${AGAIN}`);
}

function parseCounts(file: string, json = ''): Map<string, readonly [number, number]> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = null;
  }
  const isCount = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 1;
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every(isCount);
  if (typeof value !== 'object' || value === null || !Object.values(value).every(isPair))
    throw new InputError(`${file} is damaged: its counts cannot be read. ${AGAIN}`);
  return new Map(Object.entries(value as Record<string, [number, number]>));
}

function bitsOf(values: Float64Array, shape: readonly number[]): Tensor {
  return { dtype: 'I64', shape, data: new BigInt64Array(values.buffer, values.byteOffset, values.length) };
}

/** The doubles that a tensor's bits stand for; null unless it is there, of that length and finite throughout. */
function doublesOf(tensor: Tensor | undefined, length: number): Float64Array | null {
  if (tensor === undefined || tensor.dtype !== 'I64' || tensor.data.length !== length) return null;
  const { buffer, byteOffset } = tensor.data;
  const values = new Float64Array(buffer, byteOffset, length);
  return values.every(Number.isFinite) ? values : null;
}
