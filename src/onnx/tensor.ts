import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import { recognize } from './recognize.js';
import type { OnnxTensor } from './types.js';

/** What a tensor's elements mean, apart from how wide they are stored. */
export type TensorKind = 'float' | 'int' | 'bool';

/** TensorProto.DataType numbers that the importer reads. */
const DATA_TYPES: Readonly<Record<number, { name: string; kind: TensorKind; bytes: number }>> = {
  1: { name: 'float32', kind: 'float', bytes: 4 },
  2: { name: 'uint8', kind: 'int', bytes: 1 },
  3: { name: 'int8', kind: 'int', bytes: 1 },
  4: { name: 'uint16', kind: 'int', bytes: 2 },
  5: { name: 'int16', kind: 'int', bytes: 2 },
  6: { name: 'int32', kind: 'int', bytes: 4 },
  7: { name: 'int64', kind: 'int', bytes: 8 },
  9: { name: 'bool', kind: 'bool', bytes: 1 },
  10: { name: 'float16', kind: 'float', bytes: 2 },
  11: { name: 'float64', kind: 'float', bytes: 8 },
  12: { name: 'uint32', kind: 'int', bytes: 4 },
  13: { name: 'uint64', kind: 'int', bytes: 8 },
  16: { name: 'bfloat16', kind: 'float', bytes: 2 },
};

const OTHER_TYPES: Readonly<Record<number, string>> = {
  8: 'string',
  14: 'complex64',
  15: 'complex128',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
};

/** The element type's name, for messages. */
export const dataTypeName = (dataType: number): string =>
  DATA_TYPES[dataType]?.name ?? OTHER_TYPES[dataType] ?? `type ${dataType}`;

/** Float, int or bool; undefined for types that no Vision Transformer holds. */
export const dataTypeKind = (dataType: number): TensorKind | undefined => DATA_TYPES[dataType]?.kind;

/** No weight of a Vision Transformer comes near this; more is a damaged or hostile file. */
const MAX_ELEMENTS = 2 ** 31 - 1;

/** Axes of a tensor: NumPy has no more either. */
const MAX_RANK = 64;

/**
 * The number of elements of a shape.
 * @throws {InputError} where a dimension is negative or the product too large.
 */
export function elementCount(dims: readonly number[], what: string, limit = MAX_ELEMENTS): number {
  if (dims.length > MAX_RANK) throw new InputError(`${what} has ${dims.length} axes, more than ${MAX_RANK}`);
  let count = 1;
  for (const dim of dims) {
    if (!Number.isInteger(dim) || dim < 0) throw new InputError(`${what} has an impossible shape [${dims.join(', ')}]`);
    count *= dim;
  }
  if (count > limit)
    throw new InputError(`${what} has the shape [${dims.join(', ')}]: too many elements; the file is damaged`);
  return count;
}

/** Reads tensors' data, external files included, from the folder of one model. */
export class TensorReader {
  /** The folder that the model is named in, and, where that is a link, the folder of the file itself. */
  readonly #folders: readonly string[];
  readonly #files = new Map<string, { descriptor: number; size: number }>();

  /**
   * External data must lie, links resolved, in the model's folder or below. Where the model is a link itself, as in the
   * cache of Hugging Face, the folder of the file that it leads to counts too. This is ONNX Runtime's rule.
   * @param modelPath The ONNX file.
   */
  constructor(modelPath: string) {
    const named = realpathSync(path.dirname(modelPath));
    this.#folders = [...new Set([named, path.dirname(realPath(modelPath) ?? path.join(named, 'model'))])];
  }

  /** Bytes of external data files opened so far. */
  get externalBytes(): number {
    let total = 0;
    for (const { size } of this.#files.values()) total += size;
    return total;
  }

  close(): void {
    for (const { descriptor } of this.#files.values()) closeSync(descriptor);
    this.#files.clear();
  }

  /**
   * Checks what can be checked without reading the data: type, shape, length, and the external file's place and size.
   * @throws {InputError} naming the tensor.
   */
  check(tensor: OnnxTensor): void {
    const what = describe(tensor);
    const type = DATA_TYPES[tensor.dataType];
    if (!type)
      throw new InputError(
        `${what} is of type ${dataTypeName(tensor.dataType)}: export the model in float32, float16 or bfloat16`,
      );
    const count = elementCount(tensor.dims, what);
    if (tensor.external) this.#locate(tensor, count * type.bytes);
    else if (tensor.raw) {
      if (tensor.raw.length !== count * type.bytes)
        throw new InputError(
          `${what} holds ${tensor.raw.length} bytes but its shape [${tensor.dims.join(', ')}] (${type.name}) needs ` +
            `${count * type.bytes}: the file is damaged`,
        );
    } else if ((tensor.typed?.length ?? 0) !== count)
      throw new InputError(
        `${what} holds ${tensor.typed?.length ?? 0} values but its shape [${tensor.dims.join(', ')}] needs ${count}: ` +
          'the file is damaged',
      );
  }

  /**
   * A tensor's elements in row-major order: floats as Float32Array, integers and booleans
   * as Float64Array (int64 beyond 2^53 is rounded: only "until the end" markers are that large).
   * @throws {InputError} naming the tensor, where its data is short, missing or holds NaN.
   */
  read(tensor: OnnxTensor): Float32Array | Float64Array {
    this.check(tensor);
    const type = DATA_TYPES[tensor.dataType];
    const count = elementCount(tensor.dims, describe(tensor));
    if (!tensor.raw && !tensor.external) return finish(fromTyped(tensor, count), tensor);
    const bytes = tensor.raw ?? this.#readExternal(tensor, count * type.bytes);
    return finish(fromBytes(bytes, tensor.dataType, count, tensor.raw !== null), tensor);
  }

  #readExternal(tensor: OnnxTensor, needed: number): Uint8Array {
    const { descriptor, offset } = this.#locate(tensor, needed);
    const bytes = new Uint8Array(needed);
    let done = 0;
    while (done < needed) {
      const got = readSync(descriptor, bytes, done, Math.min(needed - done, 2 ** 30), offset + done);
      if (got === 0) throw new InputError(`${describe(tensor)}: its external data file ended early`);
      done += got;
    }
    return bytes;
  }

  #locate(tensor: OnnxTensor, needed: number): { descriptor: number; offset: number } {
    const what = describe(tensor);
    const entries = tensor.external!;
    const location = entries.get('location') ?? '';
    const file = this.#open(location, what);
    const offset = byteCount(entries.get('offset') ?? '0', 'offset', what);
    const length = entries.has('length') ? byteCount(entries.get('length')!, 'length', what) : needed;
    if (length !== needed)
      throw new InputError(
        `${what}: its external data has ${length} bytes but its shape [${tensor.dims.join(', ')}] needs ${needed}`,
      );
    if (offset + needed > file.size) {
      const start = new Uint8Array(Math.min(512, file.size));
      readSync(file.descriptor, start, 0, start.length, 0);
      const other = recognize(start);
      if (other) throw new InputError(`${what}: its external data ${location} is ${other.what}: ${other.remedy}`);
      throw new InputError(
        `${what}: its external data (offset ${offset}, ${needed} bytes) lies beyond the end of ${location} ` +
          `(${file.size} bytes): the data file is damaged or belongs to another model`,
      );
    }
    return { descriptor: file.descriptor, offset };
  }

  #open(location: string, what: string): { descriptor: number; size: number } {
    const known = this.#files.get(location);
    if (known) return known;
    const outside =
      `${what}: its external data ${JSON.stringify(location)} lies outside ` + "the model's folder, which is refused";
    if (location === '' || location.includes('\0')) throw new InputError(`${what} names no external data file`);
    if (path.isAbsolute(location) || path.win32.isAbsolute(location)) throw new InputError(outside);
    if (!isInside(this.#folders[0], path.resolve(this.#folders[0], location))) throw new InputError(outside);
    const real = this.#folders.map((folder) => realPath(path.resolve(folder, location))).find((file) => file !== null);
    if (!real)
      throw new InputError(
        `${what}: its external data file ${location} is not there: put it beside the model (${this.#folders[0]})`,
      );
    if (!this.#folders.some((folder) => isInside(folder, real))) throw new InputError(outside);
    // Not blocking on a pipe that someone put there in place of a file.
    const descriptor = openSync(real, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) {
      closeSync(descriptor);
      throw new InputError(`${what}: its external data ${location} is not a regular file`);
    }
    const opened = { descriptor, size: stat.size };
    this.#files.set(location, opened);
    return opened;
  }
}

const describe = (tensor: OnnxTensor): string => `weight ${JSON.stringify(tensor.name)}`;

/** The file that a path leads to, or null where there is none. */
function realPath(file: string): string | null {
  try {
    return realpathSync(file);
  } catch {
    return null;
  }
}

function isInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}

function byteCount(text: string, field: string, what: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InputError(`${what}: its external data has an invalid ${field} ${JSON.stringify(text)}`);
  return value;
}

function finish(data: Float32Array | Float64Array, tensor: OnnxTensor): Float32Array | Float64Array {
  if (DATA_TYPES[tensor.dataType].kind === 'float' && data.includes(NaN))
    throw new InputError(
      `${describe(tensor)} holds NaN (first at element ${data.findIndex(Number.isNaN)}): the model is damaged or ` +
        'training diverged',
    );
  return data;
}

function fromTyped(tensor: OnnxTensor, count: number): Float32Array | Float64Array {
  const values = tensor.typed ?? [];
  switch (tensor.dataType) {
    case 1:
      return values instanceof Float32Array ? values : Float32Array.from(values);
    case 10: // float16 and bfloat16 lie as bit patterns in int32_data
      return widenHalf(Uint16Array.from(values));
    case 16:
      return widenBfloat(Uint16Array.from(values));
    case 11:
      return narrow(values, count);
    default:
      return Float64Array.from(values);
  }
}

/** float64 weights are used in float32; values beyond its range become infinite and are refused later. */
function narrow(values: ArrayLike<number>, count: number): Float32Array {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) out[i] = values[i];
  return out;
}

/** A Buffer's own slice() would be a view that keeps its alignment. */
const copyOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

function fromBytes(bytes: Uint8Array, dataType: number, count: number, inFile: boolean): Float32Array | Float64Array {
  const aligned = (width: number): [ArrayBuffer, number, number] =>
    bytes.byteOffset % width === 0
      ? [bytes.buffer as ArrayBuffer, bytes.byteOffset, count]
      : [copyOf(bytes).buffer, 0, count];
  switch (dataType) {
    case 1: // copied, so that a kept weight does not keep the whole file in memory
      return inFile ? new Float32Array(copyOf(bytes).buffer) : new Float32Array(...aligned(4));
    case 2:
    case 9:
      return Float64Array.from(bytes);
    case 3:
      return Float64Array.from(new Int8Array(...aligned(1)));
    case 4:
      return Float64Array.from(new Uint16Array(...aligned(2)));
    case 5:
      return Float64Array.from(new Int16Array(...aligned(2)));
    case 6:
      return Float64Array.from(new Int32Array(...aligned(4)));
    case 7: {
      const words = new Int32Array(copyOf(bytes).buffer);
      return Float64Array.from({ length: count }, (_, i) => words[2 * i + 1] * 2 ** 32 + (words[2 * i] >>> 0));
    }
    case 10:
      return widenHalf(new Uint16Array(...aligned(2)));
    case 11:
      return narrow(new Float64Array(...aligned(8)), count);
    case 12:
      return Float64Array.from(new Uint32Array(...aligned(4)));
    case 13: {
      const words = new Uint32Array(copyOf(bytes).buffer);
      return Float64Array.from({ length: count }, (_, i) => words[2 * i + 1] * 2 ** 32 + words[2 * i]);
    }
    case 16:
      return widenBfloat(new Uint16Array(...aligned(2)));
    default:
      throw new Error(`unreachable: data type ${dataType} passed the check`);
  }
}

/** IEEE 754 binary16 bit patterns to float32, exactly. */
export function widenHalf(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const sign = bits[i] & 0x8000 ? -1 : 1;
    const exponent = (bits[i] >> 10) & 31;
    const fraction = bits[i] & 1023;
    if (exponent === 31) out[i] = fraction ? NaN : sign * Infinity;
    else if (exponent === 0) out[i] = sign * fraction * 2 ** -24;
    else out[i] = sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  return out;
}

/** bfloat16 bit patterns to float32, exactly: they are its upper halves. */
export function widenBfloat(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}
