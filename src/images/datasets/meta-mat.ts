/**
 * `meta.mat` of ImageNet's development kit: a MATLAB file (level 5; MathWorks, "MAT-File Format") with a struct array
 * `synsets`, of which ILSVRC2012_ID and WNID are read. Numbers are little-endian; elements may be packed by zlib.
 */
import { readFile, stat } from 'node:fs/promises';
import { inflateSync } from 'node:zlib';
import { InputError } from '../../errors.js';
import { requireRegularFile } from '../../regular-file.js';

/** The real file has 0.2 MB, and 2 MB unpacked. */
const MAX_BYTES = 2 ** 26;
const HEADER = 128;
/** Types of elements. */
const [MATRIX, COMPRESSED] = [14, 15];
/** Bytes of the numbers of each type, by its number; 0 where it holds none. */
const WIDTHS = [0, 1, 1, 2, 2, 4, 4, 4, 0, 8, 0, 0, 8, 8, 0, 0, 1, 2, 4];
const STRUCT = 2;

interface Element {
  readonly type: number;
  readonly data: DataView;
}

/**
 * The WordNet id of each number.
 *
 * @throws InputError where the file is not of this form
 */
export async function readSynsets(file: string): Promise<Map<number, string>> {
  requireRegularFile(file);
  const { size } = await stat(file);
  const refusal = (cause?: unknown) =>
    new InputError(`${file} is no meta.mat of ImageNet's development kit`, { cause });
  if (size > MAX_BYTES) throw refusal();
  try {
    const bytes = await readFile(file);
    const synsets = new Map<number, string>();
    for (const element of elementsOf(viewOf(bytes).subarray(HEADER))) readVariable(element, synsets);
    if (synsets.size === 0) throw new RangeError('no synsets');
    return synsets;
  } catch (error) {
    throw refusal(error);
  }
}

const viewOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);

function elementsOf(bytes: Uint8Array): Element[] {
  const elements: Element[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 8 <= bytes.length;) {
    const first = view.getUint32(at, true);
    // A small element has its length in the upper half of its tag, and up to four bytes after it.
    const isSmall = first >>> 16 !== 0;
    const [type, length, start] = isSmall
      ? [first & 0xffff, first >>> 16, at + 4]
      : [first, view.getUint32(at + 4, true), at + 8];
    if (start + length > bytes.length) throw new RangeError('an element ends too early');
    elements.push({ type, data: new DataView(bytes.buffer, bytes.byteOffset + start, length) });
    at = isSmall ? at + 8 : start + (type === COMPRESSED ? length : Math.ceil(length / 8) * 8);
  }
  return elements;
}

const bytesOf = ({ data }: Element): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function readVariable(element: Element, synsets: Map<number, string>): void {
  if (element.type === COMPRESSED) {
    const unpacked = viewOf(inflateSync(bytesOf(element), { maxOutputLength: MAX_BYTES }));
    for (const inner of elementsOf(unpacked)) readVariable(inner, synsets);
    return;
  }
  // A struct array: flags, dimensions, name, length of the fields' names, names, then the fields of each of its parts.
  const [flags, , name, nameLength, names, ...cells] = elementsOf(bytesOf(element));
  if (element.type !== MATRIX || flags === undefined || (flags.data.getUint32(0, true) & 0xff) !== STRUCT) return;
  if (textOf(name!) !== 'synsets') return;
  const width = numbersOf(nameLength!)[0]!;
  const all = bytesOf(names!);
  const fields = Array.from({ length: all.length / width }, (_, i) =>
    Buffer.from(all.subarray(i * width, (i + 1) * width))
      .toString('latin1')
      .replace(/\0.*$/s, ''),
  );
  const [id, wnid] = [fields.indexOf('ILSVRC2012_ID'), fields.indexOf('WNID')];
  if (id < 0 || wnid < 0) throw new RangeError('a field is not there');
  for (let at = 0; at + fields.length <= cells.length; at += fields.length)
    synsets.set(numbersOf(contentOf(cells[at + id]!))[0]!, textOf(contentOf(cells[at + wnid]!)));
}

/** What an array of numbers or characters holds: the element after its flags, dimensions and name. */
function contentOf(matrix: Element): Element {
  const [, , , content] = elementsOf(bytesOf(matrix));
  if (content === undefined) throw new RangeError('an array is empty');
  return content;
}

function textOf(element: Element): string {
  return String.fromCharCode(...numbersOf(element));
}

function numbersOf({ type, data }: Element): number[] {
  const width = WIDTHS[type] ?? 0;
  if (width === 0) throw new RangeError(`an element of type ${type} holds no numbers`);
  return Array.from({ length: data.byteLength / width }, (_, i) => {
    if (type === 9) return data.getFloat64(8 * i, true);
    if (type === 7) return data.getFloat32(4 * i, true);
    if (width === 8) return Number(data.getBigInt64(8 * i, true));
    return width === 1 ? data.getUint8(i) : width === 2 ? data.getUint16(2 * i, true) : data.getUint32(4 * i, true);
  });
}
