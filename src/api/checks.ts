/** Checks of what callers of the library give: the parts that running a model needs. */
import { availableParallelism } from 'node:os';
import { BACKENDS } from '../engine/types.js';
import type { EngineOptions } from '../engine/types.js';
import { UsageError } from '../errors.js';
import { MAX_CHANNELS } from '../images/image.js';
import type { PixelImage } from '../images/image.js';

/** Threads beyond the cores bring nothing and cost memory each: 16, or four times the cores where that is more. */
export const MAX_THREADS = Math.max(16, 4 * availableParallelism());

export interface Check {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

/** A check for each key that an object may have. */
export type Checks<T> = { readonly [K in keyof Required<T>]: Check };

export const oneOf = (values: readonly unknown[]): Check => ({
  expected: `one of ${values.join(', ')}`,
  accepts: (value) => values.includes(value),
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
export const ENGINE: Checks<EngineOptions> = {
  backend: oneOf(BACKENDS),
  threads: wholeNumber(1, MAX_THREADS),
  maxMemory: wholeNumber(1),
};

/** @throws UsageError for the first argument that is not what it must be */
export function checkLoadArguments(file: unknown, options: unknown): void {
  check('Model.load', 'path', file, path);
  checkObject('Model.load', options, ENGINE);
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

/** @throws UsageError as above */
export function checkLogits(call: string, logits: unknown, length: number): void {
  const expected = `an Int32Array of ${length} numbers`;
  check(call, 'logits', logits, {
    expected,
    accepts: (value) => value instanceof Int32Array && value.length === length,
  });
}

export function check(call: string, name: string, value: unknown, { expected, accepts }: Check): void {
  if (!accepts(value)) throw new UsageError(`${call}: ${name} must be ${expected}, not ${shown(value)}`);
}

/** Each key must be known, and what stands there either undefined or accepted. */
export function checkObject<T>(call: string, object: unknown, checks: Checks<T>): void {
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    throw new UsageError(`${call}: its options must be an object, not ${shown(object)}`);
  for (const [key, value] of Object.entries(object)) {
    if (!Object.hasOwn(checks, key))
      throw new UsageError(`${call} has no option ${key}; it has ${Object.keys(checks).join(', ')}`);
    if (value !== undefined) check(call, key, value, checks[key as keyof T]);
  }
}

export const LONGEST = 60;

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (typeof value === 'bigint') return `${value}n`;
  const text = typeof value === 'string' || Array.isArray(value) ? safeJson(value) : String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function safeJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return String(value);
  }
}
