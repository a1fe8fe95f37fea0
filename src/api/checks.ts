/** Checks of what callers of the library give: the parts that running a model needs. */
import { availableParallelism } from 'node:os';
import { BACKENDS } from '../engine/types.js';
import type { EngineOptions } from '../engine/types.js';
import { UsageError } from '../errors.js';
import { suggestion } from '../names.js';
import { MAX_CHANNELS } from '../images/image.js';
import type { PixelImage } from '../images/image.js';
import type { LongWork } from './long-work.js';

/** Threads beyond the cores bring nothing and cost memory each: 16, or four times the cores where that is more. */
export const MAX_THREADS = Math.max(16, 4 * availableParallelism());

export interface Check {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
  /** Words that may be meant by another one. */
  readonly choices?: readonly string[];
}

/** A check for each key that an object may have. */
export type Checks<T> = { readonly [K in keyof Required<T>]: Check };

export const oneOf = (values: readonly unknown[]): Check => ({
  expected: `one of ${values.join(', ')}`,
  accepts: (value) => values.includes(value),
  choices: values.map(String),
});
export const wholeNumber = (least: number, most = Number.MAX_SAFE_INTEGER): Check => ({
  expected: `a whole number ${most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`}`,
  accepts: (value) => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
});
export const path: Check = {
  expected: 'a path',
  accepts: (value) => typeof value === 'string' && value !== '' && !value.includes('\0'),
};
export const shaped = (expected: string, accepts: (object: Record<string, unknown>) => boolean): Check => ({
  expected,
  accepts: (value) => typeof value === 'object' && value !== null && accepts(value as Record<string, unknown>),
});
export const TOP = wholeNumber(1);
export const EXIF = oneOf(['apply', 'ignore']);
export const FUNCTION: Check = { expected: 'a function', accepts: (value) => typeof value === 'function' };
export const LONG_WORK: Checks<LongWork<never>> = {
  onProgress: FUNCTION,
  signal: { expected: 'an AbortSignal', accepts: (value) => value instanceof AbortSignal },
};
export const ENGINE: Checks<EngineOptions> = {
  backend: oneOf(BACKENDS),
  threads: wholeNumber(1, MAX_THREADS),
  maxMemory: wholeNumber(1),
};

export type LoadStage = 'read' | 'prepare';

export interface LoadOptions extends EngineOptions, LongWork<LoadStage> {}

/**
 * @returns the options as they were checked: whatever the object says when it is asked again
 * @throws UsageError for the first argument that is not what it must be
 */
export function checkLoadArguments(file: unknown, options: unknown): LoadOptions {
  check('Model.load', 'path', file, path);
  return checkObject<LoadOptions>('Model.load', options, { ...ENGINE, ...LONG_WORK });
}

/** @throws UsageError as above */
export function checkImage(call: string, image: unknown): asserts image is PixelImage {
  const isImage = shaped('an image { data, width, height }, as decodeImage gives', () => true);
  check(call, 'image', image, isImage);
  const { data, width, height, channels = 3 } = image as Record<string, unknown>;
  check(call, 'width', width, wholeNumber(1));
  check(call, 'height', height, wholeNumber(1));
  check(call, 'channels', channels, wholeNumber(1, MAX_CHANNELS));
  checkBytes(call, 'data', data, [Number(height), Number(width), Number(channels)]);
}

/** @throws UsageError as above */
export function checkBytes(call: string, name: string, data: unknown, shape: readonly number[]): void {
  check(call, name, data, { expected: 'a Uint8Array', accepts: (value) => value instanceof Uint8Array });
  const bytes = shape.reduce((product, size) => product * size, 1);
  const { length } = data as Uint8Array;
  if (length === bytes) return;
  throw new UsageError(`${call}: ${name} must have ${bytes} bytes (${shape.join('×')}), not ${length}`);
}

const NUMBERS = [Int32Array, Float32Array, Float64Array];

/**
 * @param length how many there must be; null: any number
 * @throws UsageError as above
 */
export function checkNumbers(
  call: string,
  name: string,
  values: unknown,
  length: number | null,
  types: readonly (typeof NUMBERS)[number][] = NUMBERS,
): void {
  const kinds = types.map((type) => type.name).join(' or ');
  check(call, name, values, {
    expected: `an ${kinds}${length === null ? '' : ` of ${length} numbers`}`,
    accepts: (value) =>
      types.some((type) => value instanceof type) && (length === null || (value as Int32Array).length === length),
  });
}

export function check(call: string, name: string, value: unknown, { expected, accepts, choices }: Check): void {
  if (accepts(value)) return;
  const near = choices === undefined || typeof value !== 'string' ? '' : suggestion(value, choices);
  throw new UsageError(`${call}: ${name} must be ${expected}, not ${shown(value)}${near}`);
}

/**
 * Each key must be known, and what stands there either undefined or accepted. Inherited values count, as they do for
 * whoever reads the object.
 *
 * @returns the values that were checked, in an object that has nothing else
 */
export function checkObject<T>(call: string, object: unknown, checks: Checks<T>): Partial<T> {
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    throw new UsageError(`${call}: its options must be an object, not ${shown(object)}`);
  const known = Object.keys(checks) as (keyof T & string)[];
  for (const key of Object.keys(object))
    if (!Object.hasOwn(checks, key))
      throw new UsageError(`${call} has no option ${key}; it has ${known.join(', ')}${suggestion(key, known)}`);
  const taken: Partial<T> = {};
  for (const key of known) {
    const value = (object as Partial<T>)[key];
    if (value === undefined) continue;
    check(call, key, value, checks[key]);
    taken[key] = value;
  }
  return taken;
}

export const LONGEST = 60;

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (typeof value === 'bigint') return `${value}n`;
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  const text = typeof value === 'string' || Array.isArray(value) || isPlain ? safeJson(value) : String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function safeJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return String(value);
  }
}
