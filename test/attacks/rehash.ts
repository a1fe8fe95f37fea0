/** Changes a `.ivit` file and gives it a valid hash again: what an attacker does. */
import { createHash } from 'node:crypto';
import { decodeContainer, encodeContainer } from '../../src/program/container.js';
import type { Dtype, TensorData } from '../../src/program/container.js';
import { storedTypes, widened } from '../../src/program/narrow.js';
import { parseOutline, tensorFields } from '../../src/program/schema.js';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const HASH = /"hash":"sha256:[0-9a-f]{64}"/;

/** The file with its hash computed anew. */
export function rehashed(bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(Uint8Array.from(bytes).buffer);
  const at = buffer.toString('latin1').search(HASH) + '"hash":"sha256:'.length;
  buffer.fill('0', at, at + 64);
  buffer.write(sha256(buffer), at);
  return new Uint8Array(buffer.buffer);
}

/** The file with another header: its JSON text as `change` makes it. */
export function withHeader(bytes: Uint8Array, change: (json: string) => string): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const json = Buffer.from(
    change(
      Buffer.from(bytes.subarray(8, 8 + length))
        .toString()
        .trimEnd(),
    ),
  );
  const padded = Math.ceil((8 + json.length) / 64) * 64;
  const header = Buffer.alloc(padded, ' ');
  header.writeBigUInt64LE(BigInt(padded - 8));
  json.copy(header, 8);
  return rehashed(Buffer.concat([header, bytes.subarray(8 + length)]));
}

/**
 * The file with other tensors: `change` gets the data of each, by name, to write into, as wide as any number of its
 * field needs.
 */
export function withTensors(bytes: Uint8Array, change: (tensors: ReadonlyMap<string, TensorData>) => void): Uint8Array {
  const { metadata, tensors } = decodeContainer(bytes);
  const widths = new Map<string, Dtype>(
    parseOutline(metadata.get('program')!).ops.flatMap((op) =>
      tensorFields(op).map(({ field, dtype }) => [`${op.name}.${field}`, dtype] as const),
    ),
  );
  const copies = new Map(
    [...tensors].map(([name, t]) => {
      const dtype = storedTypes(widths.get(name)!).length > 1 ? widths.get(name)! : t.dtype;
      return [name, { ...t, dtype, data: widened(dtype, t.data).slice() as TensorData }];
    }),
  );
  change(new Map([...copies].map(([name, { data }]) => [name, data])));
  return rehashed(encodeContainer({ metadata, tensors: copies }));
}
