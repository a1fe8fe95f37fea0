import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { InputError } from '../../../src/errors.js';
import { ParquetProcess, type Cells } from '../../../src/images/datasets/parquet-process.js';

/** Few different ones, so that they are written as numbers of a dictionary. */
const LABELS = Array.from({ length: 400 }, (_, row) => (7 * row) % 9);
const CELLS: Cells = { column: 'label', from: 0, to: LABELS.length, bytes: 4 * LABELS.length };

let folder: string;
beforeAll(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'ivit-parquet-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function put(name: string, bytes: Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

function written(): Buffer {
  const columnData = [{ name: 'label', data: LABELS, type: 'INT32' as const }];
  return Buffer.from(parquetWriteBuffer({ columnData, codec: 'UNCOMPRESSED', statistics: false }));
}

/** Its numbers, of 4 bits, are packed in 50 groups of 8: instead, one is repeated 2³¹ − 1 times. */
function endless(): Buffer {
  const bytes = written();
  const packed = bytes.indexOf(Uint8Array.of(4, (LABELS.length / 8) * 2 + 1));
  expect(packed).toBeGreaterThan(0);
  bytes.set([4, 0xfe, 0xff, 0xff, 0xff, 0x0f], packed);
  return bytes;
}

test('what damage makes endless is given up, and the next file is read', async () => {
  const [good, bad] = [put('good.parquet', written()), put('bad.parquet', endless())];
  const reader = new ParquetProcess(3);
  const [refused, labels] = await Promise.allSettled([reader.values(bad, CELLS), reader.values(good, CELLS)]);
  // Which of the two limits is met first depends on the machine.
  const limit = /bad\.parquet.* damaged one: reading it takes more than (4 s|1\.0 GiB of memory), which/;
  const message = expect.stringMatching(limit) as string;
  expect(refused).toMatchObject({ status: 'rejected', reason: { message } });
  expect((refused as PromiseRejectedResult).reason).toBeInstanceOf(InputError);
  expect(labels).toEqual({ status: 'fulfilled', value: LABELS });
});

test('sizes that damage makes negative give no less time', async () => {
  const file = put('negative.parquet', written());
  const labels = await new ParquetProcess().values(file, { ...CELLS, bytes: -(2 ** 40) });
  expect(labels).toEqual(LABELS);
});
