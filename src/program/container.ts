/**
 * The safetensors container: a u64 little-endian header length, a JSON header, then the raw little-endian tensors, laid
 * end to end without holes. Tensors are sorted by the size of their elements, largest first, and the header is padded
 * with spaces to a multiple of 64 bytes, so that every tensor is aligned for its own type. Knows nothing of programs.
 */
import { InputError } from '../errors.js';
import { jsonError, parseJsonOnce } from './json.js';
import { MAX_DIMENSIONS, MAX_HEADER_BYTES } from './limits.js';

export type Dtype = 'U8' | 'I8' | 'I16' | 'I32' | 'I64';
export type TensorData = Uint8Array | Int8Array | Int16Array | Int32Array | BigInt64Array;

export interface Tensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface Container {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** What can be written: real numbers too, which no model holds, as their bytes. */
export interface WrittenTensor {
  readonly dtype: Dtype | 'F32';
  readonly shape: readonly number[];
  readonly data: TensorData;
}

const ELEMENT_BYTES: Readonly<Record<Dtype, number>> = { I64: 8, I32: 4, I16: 2, I8: 1, U8: 1 };
const WRITTEN_BYTES: Readonly<Record<WrittenTensor['dtype'], number>> = { ...ELEMENT_BYTES, F32: 4 };
const HEADER_ALIGNMENT = 64;

interface WrittenContainer extends Pick<Container, 'metadata'> {
  readonly tensors: ReadonlyMap<string, WrittenTensor>;
}

/** @throws RangeError where this machine is big-endian: the tensors are views on the file's little-endian bytes */
function assertLittleEndian(): void {
  if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) throw new RangeError('ivit needs a little-endian machine');
}

export function encodeContainer({ metadata, tensors }: WrittenContainer): Uint8Array {
  assertLittleEndian();
  const sorted = [...tensors].sort(
    ([a, x], [b, y]) => WRITTEN_BYTES[y.dtype] - WRITTEN_BYTES[x.dtype] || (a < b ? -1 : a > b ? 1 : 0),
  );
  const header: [string, unknown][] = [['__metadata__', Object.fromEntries(metadata)]];
  let end = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    const start = end;
    end += data.byteLength;
    header.push([name, { dtype, shape, data_offsets: [start, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  if (json.length > MAX_HEADER_BYTES)
    throw new InputError(`The model's header would take ${json.length} bytes; labels are too long: give shorter ones`);
  const bodyAt = roundUp(8 + json.length, HEADER_ALIGNMENT);
  const bytes = new Uint8Array(bodyAt + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bodyAt - 8), true);
  bytes.set(json, 8);
  bytes.fill(0x20, 8 + json.length, bodyAt);
  let at = bodyAt;
  for (const [, { data }] of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * Reads a container. The tensors are views on `bytes`, nothing is copied.
 *
 * @param bytes the whole file; its buffer position must be a multiple of 8
 * @throws InputError with a one-line reason, for everything that is not exactly the format
 */
export function decodeContainer(bytes: Uint8Array): Container {
  assertLittleEndian();
  const headerEnd = 8 + headerLength(bytes);
  const header = parseHeader(bytes.subarray(8, headerEnd));
  const metadata = new Map<string, string>();
  const tensors = new Map<string, Tensor>();
  const spans: { name: string; start: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      for (const [key, value] of Object.entries(asObject(entry, name))) {
        if (typeof value !== 'string') throw malformed(`metadata ${quote(key)} is not a string`);
        metadata.set(key, value);
      }
      continue;
    }
    const { dtype, shape, start, end } = parseEntry(name, entry);
    const at = headerEnd + start;
    if (headerEnd + end > bytes.length) {
      throw malformed(
        `tensor ${quote(name)} ends ${headerEnd + end - bytes.length} bytes after the end of the file: ` +
          'the file is truncated',
      );
    }
    spans.push({ name, start, end });
    tensors.set(name, { dtype, shape, data: viewTensor(name, dtype, bytes, at, end - start) });
  }
  checkCover(spans, bytes.length - headerEnd);
  return { metadata, tensors };
}

function headerLength(bytes: Uint8Array): number {
  if (bytes.length < 8) throw malformed(`it has only ${bytes.length} bytes`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) throw malformed('it does not begin with a header length');
  if (length > BigInt(bytes.length - 8))
    throw malformed(`its header of ${length} bytes is cut off: the file is truncated`);
  return Number(length);
}

function parseHeader(json: Uint8Array): object {
  let header: unknown;
  try {
    header = parseJsonOnce(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (error) {
    throw malformed(`its header cannot be read: ${jsonError(error)}`);
  }
  return asObject(header, 'header');
}

function parseEntry(
  name: string,
  value: unknown,
): { dtype: Dtype; shape: readonly number[]; start: number; end: number } {
  const { dtype, shape, data_offsets: offsets, ...rest } = asObject(value, name) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
    throw malformed(
      `tensor ${quote(name)} has type ${quote(String(dtype))}; known are ${Object.keys(ELEMENT_BYTES).join(', ')}`,
    );
  }
  if (Object.keys(rest).length > 0)
    throw malformed(`tensor ${quote(name)} has an unknown key ${quote(Object.keys(rest)[0])}`);
  if (!Array.isArray(shape) || shape.length > MAX_DIMENSIONS || !shape.every(isSize))
    throw malformed(`tensor ${quote(name)} has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    throw malformed(`tensor ${quote(name)} has no valid offsets`);
  const [start, end] = offsets as [number, number];
  const bytes = shape.reduce((size, n) => size * BigInt(n), BigInt(ELEMENT_BYTES[dtype as Dtype]));
  if (bytes !== BigInt(end) - BigInt(start)) {
    throw malformed(`tensor ${quote(name)} of shape [${shape.join(', ')}] needs ${bytes} bytes, not ${end - start}`);
  }
  return { dtype: dtype as Dtype, shape: shape as number[], start, end };
}

function viewTensor(name: string, dtype: Dtype, bytes: Uint8Array, at: number, length: number): TensorData {
  const size = ELEMENT_BYTES[dtype];
  const position = bytes.byteOffset + at;
  if (position % size !== 0) throw malformed(`tensor ${quote(name)} is not aligned to ${size} bytes`);
  const { buffer } = bytes;
  switch (dtype) {
    case 'U8':
      return new Uint8Array(buffer, position, length);
    case 'I8':
      return new Int8Array(buffer, position, length);
    case 'I16':
      return new Int16Array(buffer, position, length >> 1);
    case 'I32':
      return new Int32Array(buffer, position, length >> 2);
    case 'I64':
      return new BigInt64Array(buffer, position, length >> 3);
  }
}

/** Tensors may not overlap, nor leave holes: every byte of the file has one meaning. */
function checkCover(spans: { name: string; start: number; end: number }[], bodyBytes: number): void {
  spans.sort((a, b) => a.start - b.start || a.end - b.end);
  let covered = 0;
  for (const { name, start, end } of spans) {
    if (start < covered) throw malformed(`tensor ${quote(name)} overlaps another`);
    if (start > covered) throw malformed(`there is a hole before tensor ${quote(name)}`);
    covered = end;
  }
  if (covered !== bodyBytes) throw malformed(`${bodyBytes - covered} bytes follow its last tensor`);
}

function asObject(value: unknown, name: string): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw malformed(`${quote(name)} is not an object`);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function roundUp(value: number, step: number): number {
  return value + ((step - (value % step)) % step);
}

/** A name from an untrusted file, fit for one line of an error. */
export function quote(name: string): string {
  const text = JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name);
  return text.replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, '?');
}

export function malformed(reason: string): InputError {
  return new InputError(`${MALFORMED}${reason}`);
}

const MALFORMED = 'Not a valid .ivit file: ';

export const isMalformed = ({ message }: InputError): boolean => message.startsWith(MALFORMED);
