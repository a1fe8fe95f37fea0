/** The files in a tar archive: POSIX and GNU forms, with long names; their headers are read by the `tar` package. */
import { InputError } from '../../errors.js';
import type { ByteReader } from './bytes.js';

const BLOCK = 512;
/** Of what stands in front of a file to give its name: more is no name. */
const MAX_EXTENSION_BYTES = 2 ** 20;

export interface TarEntry {
  /** As written in the archive; never used as a path. */
  readonly name: string;
  readonly size: number;
  /** Where its bytes start in the archive, unpacked. */
  readonly offset: number;
}

/**
 * Goes through the files of an archive. Between two steps the caller may read from the reader up to the file's end; the
 * rest is skipped.
 *
 * @returns whether the archive has the mark of its end: one that was cut between two files has not
 * @throws InputError for an archive that is cut off or damaged
 */
export async function* tarEntries(reader: ByteReader, file: string): AsyncGenerator<TarEntry, boolean> {
  const [{ Header }, { Pax }] = await Promise.all([import('tar/header'), import('tar/pax')]);
  type Extension = NonNullable<ConstructorParameters<typeof Header>[2]>;
  let global: Extension | undefined;
  let next: Extension | undefined;
  for (;;) {
    const at = reader.position;
    const block = await reader.read(BLOCK);
    if (block.length === 0) return false;
    if (block.length < BLOCK) throw cutOff(file, `in a header, at byte ${at}`);
    if (block.every((byte) => byte === 0)) return true;
    const header = readHeader(() => new Header(Buffer.from(block), 0, next, global), file, at);
    const { size = 0, type } = header;
    const name = header.path ?? '';
    if (!Number.isSafeInteger(size) || size < 0) throw damaged(file, at);
    const isKnownToEnd = reader.size !== null && reader.position + size > reader.size;
    if (isKnownToEnd) throw cutOff(file, `in ${name}`);
    const offset = reader.position;
    if (/Extended|LongPath|LongLink/.test(type)) {
      if (size > MAX_EXTENSION_BYTES) throw damaged(file, at);
      const text = Buffer.from(await reader.read(size)).toString('utf8');
      if (type === 'GlobalExtendedHeader') global = Pax.parse(text, global, true) as Extension;
      else if (type.includes('Extended')) next = Pax.parse(text, next, false) as Extension;
      else if (type === 'NextFileHasLongPath') next = { ...next, path: text.replace(/\0.*$/s, '') };
    } else {
      next = undefined;
      if (type === 'File' || type === 'OldFile' || type === 'ContiguousFile') yield { name, size, offset };
    }
    await skipTo(reader, offset + size, () => cutOff(file, `in ${name}`));
    await reader.skip((BLOCK - (size % BLOCK)) % BLOCK);
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
