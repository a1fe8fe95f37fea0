/** The files in a tar archive: POSIX and GNU forms, with long names; their headers are read by the `tar` package. */
import { InputError } from '../../errors.js';
import type { ByteReader } from './bytes.js';

const BLOCK = 512;
const NAME_BYTES = 100;
/** Of what stands in front of a file to give its name: more is no name. */
const MAX_EXTENSION_BYTES = 2 ** 20;

export interface TarEntry {
  /** As written in the archive; never used as a path. */
  readonly name: string;
  readonly size: number;
  /** Where its bytes start in the archive, unpacked. */
  readonly offset: number;
  /** Whether it only points to another file, and has no bytes. */
  readonly isLink: boolean;
}

/**
 * Goes through the files of an archive, and of others that were appended to it (`cat a.tar b.tar`). Between two steps
 * the caller may read from the reader up to the file's end; the rest is skipped.
 *
 * @returns whether the archive has the mark of its end: one that was cut between two files has not
 * @throws InputError for an archive that is cut off or damaged
 */
export async function* tarEntries(reader: ByteReader, file: string): AsyncGenerator<TarEntry, boolean> {
  const [{ Header }, { Pax }] = await Promise.all([import('tar/header'), import('tar/pax')]);
  type Extension = NonNullable<ConstructorParameters<typeof Header>[2]>;
  let global: Extension | undefined;
  let next: Extension | undefined;
  let isAtEnd = false;
  for (;;) {
    const at = reader.position;
    const block = await reader.read(BLOCK);
    if (block.length === 0) return isAtEnd;
    const isEmpty = block.every((byte) => byte === 0);
    if (block.length < BLOCK && !(isEmpty && isAtEnd)) throw cutOff(file, `in a header, at byte ${at}`);
    isAtEnd = isEmpty;
    if (isEmpty) continue;
    const header = readHeader(() => new Header(Buffer.from(block), 0, next, global), file, at);
    const { size = 0, type } = header;
    // Names are UTF-8; those of older systems are told apart at least.
    const name = /\uFFFD/.test(header.path ?? '') ? textOf(block.subarray(0, NAME_BYTES)) : (header.path ?? '');
    if (!Number.isSafeInteger(size) || size < 0) throw damaged(file, at);
    const isKnownToEnd = reader.size !== null && reader.position + size > reader.size;
    if (isKnownToEnd) throw cutOff(file, `in ${name}`);
    const offset = reader.position;
    if (/Extended|LongPath|LongLink/.test(type)) {
      if (size > MAX_EXTENSION_BYTES) throw damaged(file, at);
      const bytes = Buffer.from(await reader.read(size));
      const text = bytes.toString('utf8');
      if (/\bGNU\.sparse\./.test(text)) throw sparse(file);
      if (type === 'GlobalExtendedHeader') global = Pax.parse(text, global, true) as Extension;
      else if (type.includes('Extended')) next = Pax.parse(text, next, false) as Extension;
      else if (type === 'NextFileHasLongPath') next = { ...next, path: textOf(bytes) };
    } else {
      next = undefined;
      if (type === 'SparseFile') throw sparse(file);
      const isLink = /Link$/.test(type);
      if (isLink || /^(Old|Contiguous)?File$/.test(type)) yield { name, size, offset, isLink };
    }
    await skipTo(reader, offset + size, () => cutOff(file, `in ${name}`));
    await reader.skip((BLOCK - (size % BLOCK)) % BLOCK);
  }
}

/** Up to the first zero. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\0.*$/s, '');
  } catch {
    return Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '');
  }
}

async function skipTo(reader: ByteReader, end: number, error: () => InputError): Promise<void> {
  await reader.skip(end - reader.position);
  if (reader.position < end) throw error();
}

function readHeader<T extends { readonly cksumValid: boolean }>(read: () => T, file: string, at: number): T {
  let header: T | undefined;
  try {
    header = read();
  } catch {
    // A number that is none.
  }
  if (header?.cksumValid !== true) throw damaged(file, at);
  return header;
}

function damaged(file: string, at: number): InputError {
  return new InputError(`${file} is no tar archive, or a damaged one: there is no header at byte ${at}`);
}

function cutOff(file: string, where: string): InputError {
  return new InputError(`${file} is cut off: it ends ${where}. Copy or make it again`);
}

function sparse(file: string): InputError {
  return new InputError(`${file} holds sparse files, which are not read: make it again without --sparse (-S)`);
}
