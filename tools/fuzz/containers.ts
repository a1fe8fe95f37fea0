/** Files that hold images, and parts of evaluations: bytes changed, plain and packed. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { Header } from 'tar/header';
import { openPart } from '../../src/api/part-reader.js';
import { openDataset } from '../../src/images/datasets/index.js';
import { readImages } from '../../src/images/datasets/read.js';
import { Random } from '../../src/images/random.js';
import { changeBytes, type Target } from './target.js';

function tar(): Buffer {
  const files = { '0.jpg': 'x'.repeat(600), '0.cls': '1', '1.cls': '0', '1.png': 'y' };
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const block = Buffer.alloc(512);
    new Header({ path: name, size: text.length, type: 'File', mode: 0o644, mtime: new Date(0) }).encode(block);
    return [block, Buffer.from(text.padEnd(Math.ceil(text.length / 512) * 512, '\0'))];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function parquet(codec: 'SNAPPY' | 'UNCOMPRESSED'): Uint8Array {
  const images = ['a', 'bb', 'ccc'].map((text) => new Uint8Array(Buffer.from(text)));
  const columnData = [
    { name: 'image', data: images, type: 'BYTE_ARRAY' as const },
    { name: 'label', data: [0, 1, 2], type: 'INT32' as const },
  ];
  return new Uint8Array(parquetWriteBuffer({ columnData, codec, rowGroupSize: 2 }));
}

const idxImages = Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
const idxLabels = Buffer.from([0, 0, 8, 1, 0, 0, 0, 2, 1, 0]);
const PART = [
  '{"format":"ivit evaluation","version":1,"tool":"x","model":{"name":"a","hash":"b","labels":null},"classes":2,' +
    '"outputs":[],"dataset":{"source":"d","digest":"e","images":2,"unread":{}},"settings":{"limit":null,' +
    '"exif":"ignore"},"float":null,"shard":{"index":1,"count":1}}',
  '{"index":0,"path":"a.png","label":0,"prediction":1,"probability":0.5,"rank":1,"ms":2,"digest":"f"}',
  '{"index":1,"path":"b.png","skipped":"no image"}',
  '{"end":true,"rows":2,"timed":1,"seconds":3}',
  '',
].join('\n');

/** Name of the file, its bytes, and what lies beside it. */
const BASES: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ['a.tar', tar()],
  ['a.tar.gz', gzipSync(tar())],
  ['a.parquet', parquet('UNCOMPRESSED')],
  ['a.parquet', parquet('SNAPPY')],
  ['a-images-idx3-ubyte', idxImages],
  ['a-images-idx3-ubyte.gz', gzipSync(idxImages)],
  ['test_batch.bin', new Uint8Array(2 * 3073)],
  ['meta.mat', readFileSync(path.resolve('test/images/datasets/meta.mat'))],
  ['part.jsonl', Buffer.from(PART)],
];

export function containerTarget(): Target {
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-fuzz-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(path.join(folder, 'set'));
  const put = (name: string, bytes: Uint8Array | string): string => {
    const file = path.join(folder, 'set', name);
    writeFileSync(file, bytes);
    return file;
  };
  put('a-labels-idx1-ubyte', idxLabels);
  put('ILSVRC2012_val_00000001.JPEG', 'x');
  const truth = put('ILSVRC2012_validation_ground_truth.txt', '1\n');
  return {
    name: 'containers',
    bases: BASES.length,
    // The first byte says which file it is.
    make: ({ base, steps }) =>
      steps.reduce<Uint8Array>(
        (bytes, step) => Buffer.concat([bytes.subarray(0, 1), changeBytes(bytes.subarray(1), new Random(step))]),
        Buffer.concat([Uint8Array.of(base), BASES[base][1]]),
      ),
    async use(bytes) {
      const [name] = BASES[bytes[0]];
      const file = put(name, bytes.subarray(1));
      try {
        if (name === 'part.jsonl') return await readPart(file);
        const dataset = await openDataset(name === 'meta.mat' ? truth : file, { classCount: 3 });
        let images = 0;
        for await (const image of readImages(dataset, [...dataset.items.keys()]))
          if (!(image instanceof Error)) images++;
        return images > 0;
      } finally {
        rmSync(file);
      }
    },
  };
}

async function readPart(file: string): Promise<boolean> {
  const rows = (await openPart(file)).rows();
  let step = await rows.next();
  while (step.done !== true) step = await rows.next();
  return step.value.rows > 0;
}
