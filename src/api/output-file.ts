/** Writes what a model gives for images to a file of arrays: .npz, or .safetensors. */
import { InputError, UsageError } from '../errors.js';
import { encodeNpz } from '../images/npy.js';
import type { NpyArray } from '../images/npy.js';
import { encodeContainer } from '../program/container.js';
import type { WrittenTensor } from '../program/container.js';
import { writeAtomically } from '../program/file.js';
import { realValues } from '../metrics/results.js';
import type { OutputResult } from '../metrics/results.js';

export interface SavedImage {
  readonly path: string;
  readonly outputs: readonly OutputResult[];
  /** What the network read: u8, [height, width, channels]. */
  readonly pixels: Uint8Array;
}

type Kind = 'npz' | 'safetensors';

/** @throws UsageError for a name of neither kind */
export function outputFileKind(file: string): Kind {
  const [, kind] = /\.(npz|safetensors)$/i.exec(file) ?? [];
  if (kind === undefined) throw new UsageError(`Outputs are saved as .npz or .safetensors: ${file} ends in neither`);
  return kind.toLowerCase() as Kind;
}

/**
 * Writes every output as one array, images first: [images, …shape]. As integers, with the real value of one unit
 * beside each (`NAME.scale`); or as the float model gives them, with its last steps done. The images' paths are in
 * `images`.
 *
 * @throws InputError where the file cannot be written
 */
export function saveOutputs(file: string, images: readonly SavedImage[], { reals }: { readonly reals: boolean }): void {
  const arrays = new Map<string, NpyArray & { readonly data: Int32Array | Float32Array }>();
  const scales = new Map<string, number>();
  images[0].outputs.forEach(({ name, scale }, i) => {
    const results = images.map(({ outputs }) => outputs[i]);
    arrays.set(name, reals ? stackedReals(results) : stackedIntegers(results));
    if (!reals) scales.set(name, scale);
  });
  const paths = images.map(({ path }) => path);
  const bytes = outputFileKind(file) === 'npz' ? npzOf(arrays, scales, paths) : safetensorsOf(arrays, scales, paths);
  writeAtomically(file, bytes);
}

/**
 * Checks, before any work, that a file can hold each output by its name.
 *
 * @throws InputError for two arrays of one name, and names that would lead out of an archive when it is unpacked
 */
export function checkOutputNames(
  file: string,
  outputs: readonly string[],
  { reals }: { readonly reals: boolean },
): void {
  const taken = new Set(['images']);
  for (const name of outputs)
    for (const array of reals ? [name] : [name, `${name}.scale`]) {
      if (taken.has(array))
        throw new InputError(
          `The outputs cannot be saved together: two arrays would be called ${array}; give one output to ` +
            'ivit quantize (--output) or a model with other names',
        );
      taken.add(array);
    }
  if (outputFileKind(file) === 'safetensors') return;
  const unsafe = outputs.find((name) => LEADS_OUT.test(name));
  if (unsafe !== undefined)
    throw new InputError(`An output called ${unsafe} is no name in an archive: save a .safetensors file`);
}

/** A step up, or what file systems or archives take for something else than a name. */
const LEADS_OUT = /(^|[/\\])\.\.([/\\]|$)|[\0-\x1f\x7f]/;

/** @throws UsageError for a name that says that the file is something else */
export function checkPixelsName(file: string): void {
  if (!/\.(bin|raw)$/i.test(file))
    throw new UsageError(`Pixels are saved as bytes without a header, .bin or .raw: ${file} ends in neither`);
}

/**
 * Writes the pixels of all images end to end, as exported programs read them.
 *
 * @throws InputError where the file cannot be written
 */
export function savePixels(file: string, images: readonly SavedImage[]): void {
  writeAtomically(file, Buffer.concat(images.map(({ pixels }) => pixels)));
}

type Arrays = ReadonlyMap<string, NpyArray & { readonly data: Int32Array | Float32Array }>;

function stackedIntegers(results: readonly OutputResult[]): { shape: number[]; data: Int32Array } {
  const [{ shape, values }] = results;
  const data = new Int32Array(results.length * values.length);
  results.forEach((one, i) => data.set(one.values, i * values.length));
  return { shape: [results.length, ...shape], data };
}

function stackedReals(results: readonly OutputResult[]): { shape: number[]; data: Float32Array } {
  const all = results.map(realValues);
  const [{ shape, values }] = all;
  const data = new Float32Array(all.length * values.length);
  all.forEach((one, i) => data.set(one.values, i * values.length));
  return { shape: [all.length, ...shape], data };
}

function npzOf(arrays: Arrays, scales: ReadonlyMap<string, number>, paths: readonly string[]): Uint8Array {
  const all = new Map<string, NpyArray>([['images', { shape: [paths.length], data: paths }], ...arrays]);
  for (const [name, scale] of scales) all.set(`${name}.scale`, { shape: [], data: Float64Array.of(scale) });
  return encodeNpz(all);
}

function safetensorsOf(arrays: Arrays, scales: ReadonlyMap<string, number>, paths: readonly string[]): Uint8Array {
  const tensors = new Map<string, WrittenTensor>();
  for (const [name, { shape, data }] of arrays)
    tensors.set(
      name,
      data instanceof Int32Array
        ? { dtype: 'I32', shape, data }
        : { dtype: 'F32', shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
    );
  const metadata = new Map([['images', JSON.stringify(paths)]]);
  for (const [name, scale] of scales) metadata.set(`${name}.scale`, String(scale));
  return encodeContainer({ metadata, tensors });
}
