/**
 * Whether datasets in one file evaluate as fast as a folder, and with flat memory. Makes the same small photographs as
 * class folders, a WebDataset archive (plain and packed) and a Parquet file; and grey digits as an IDX file (plain and
 * packed), a sixth of them as class folders too. Evaluates each in a process of its own, in turns. Prints images per
 * second (the best of the rounds) and processor time of each image, which other processes disturb less, both as ratios
 * to the folder of the same images; and the peak of resident memory in each third of the run. Processes that it starts
 * count too: Parquet is read in one. Needs Linux and `npm run build`.
 *
 *   node tools/measure/datasets.mjs [images] [digits] [rounds]
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parquetWriteFile } from 'hyparquet-writer';
import sharp from 'sharp';
import { create } from 'tar';
import { Model, evaluate } from '../../dist/index.js';
import { syntheticImage } from '../../dist/images/synthetic/index.js';
import { root } from '../prepare.mjs';

const SELF = fileURLToPath(import.meta.url);
/** A model that takes next to no time: what is measured is reading, decoding and resizing. */
const MODEL = join(root, 'test/program/golden.ivit');
const CLASSES = 3;
/** Different photographs; all images are these, over and over. */
const DIFFERENT = 24;
const MIB = 2 ** 20;

if (process.argv[2] === '--one') {
  console.log(JSON.stringify(await measureOne(process.argv[3])));
} else {
  const [images = 10_000, digits = 60_000, rounds = 3] = process.argv.slice(2).map(Number);
  const folder = mkdtempSync(join(tmpdir(), 'ivit-datasets-'));
  try {
    const sources = { ...(await makePhotographs(folder, images)), ...(await makeDigits(folder, digits)) };
    report(measureAll(sources, rounds));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In a process of its own: speed, and memory over time. */
async function measureOne(dataset) {
  const model = await Model.load(MODEL, { threads: 1 });
  const memory = [];
  let peak = 0;
  const before = process.cpuUsage();
  const memoryNow = () => process.memoryUsage.rss() + ofChildren().memory;
  const { images, imagesPerSecond } = await evaluate(model, {
    dataset,
    onProgress: (_, done, total) => {
      if (done % 50 === 0 || done === total) peak = Math.max(peak, memoryNow());
      if (done >= ((memory.length + 1) * total) / 3) {
        memory.push(peak);
        peak = 0;
      }
    },
  });
  const { user, system } = process.cpuUsage(before);
  const work = (user + system) / 1000 + ofChildren().milliseconds;
  await model.close();
  return { speed: imagesPerSecond, work: work / images, memory };
}

/** Processor time and resident memory (proc(5)) of the processes that this one started. */
function ofChildren() {
  const [TICK_MS, PAGE] = [10, 4096];
  const pids = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean);
  return pids.reduce(
    ({ milliseconds, memory }, pid) => {
      // Behind the name, which may hold anything, the third field comes first.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
      const [user, system, pages] = [11, 12, 21].map((i) => Number(fields[i]));
      return { milliseconds: milliseconds + TICK_MS * (user + system), memory: memory + PAGE * pages };
    },
    { milliseconds: 0, memory: 0 },
  );
}

function measureAll(sources, rounds) {
  const found = Object.fromEntries(
    Object.keys(sources).map((name) => [name, { speed: 0, work: Infinity, memory: [] }]),
  );
  for (let round = 0; round < rounds; round++)
    for (const [name, { dataset }] of Object.entries(sources)) {
      const { stdout, stderr, status } = spawnSync(process.execPath, [SELF, '--one', dataset], { encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
      const { speed, work, memory } = JSON.parse(stdout);
      process.stderr.write(`${name}: ${stdout}`);
      found[name] = { speed: Math.max(speed, found[name].speed), work: Math.min(work, found[name].work), memory };
    }
  return Object.entries(sources).map(([name, { folder }]) => ({ name, folder, ...found[name] }));
}

function report(rows) {
  const titles = ['dataset', 'images/s', 'of the folder', 'CPU ms an image', 'of the folder', 'memory of thirds, MiB'];
  console.log(`| ${titles.join(' | ')} |\n|---|--:|--:|--:|--:|--:|`);
  for (const { name, folder, speed, work, memory } of rows) {
    const other = rows.find((row) => row.name === folder);
    const thirds = memory.map((bytes) => Math.round(bytes / MIB)).join(', ');
    const ratios = [(speed / other.speed).toFixed(2), work.toFixed(2), (work / other.work).toFixed(2)];
    console.log(`| ${[name, speed.toFixed(0), ...ratios, thirds].join(' | ')} |`);
  }
}

async function makePhotographs(folder, count) {
  const files = [];
  for (let i = 0; i < DIFFERENT; i++) {
    const { data, width, height } = syntheticImage(160, 160, i);
    files.push(
      await sharp(data, { raw: { width, height, channels: 3 } })
        .jpeg()
        .toBuffer(),
    );
  }
  const names = Array.from({ length: count }, (_, i) => String(i).padStart(6, '0'));
  const [classes, loose] = [join(folder, 'classes'), join(folder, 'loose')];
  for (let c = 0; c < CLASSES; c++) mkdirSync(join(classes, String(c)), { recursive: true });
  mkdirSync(loose);
  names.forEach((name, i) => {
    writeFileSync(join(classes, String(i % CLASSES), `${name}.jpg`), files[i % DIFFERENT]);
    writeFileSync(join(loose, `${name}.jpg`), files[i % DIFFERENT]);
    writeFileSync(join(loose, `${name}.cls`), String(i % CLASSES));
  });
  const members = names.flatMap((name) => [`${name}.jpg`, `${name}.cls`]);
  for (const [file, gzip] of [
    ['images.tar', false],
    ['images.tar.gz', true],
  ])
    await create({ file: join(folder, file), cwd: loose, gzip }, members);
  await parquetWriteFile({
    filename: join(folder, 'images.parquet'),
    columnData: [
      { name: 'image', data: names.map((_, i) => new Uint8Array(files[i % DIFFERENT])), type: 'BYTE_ARRAY' },
      { name: 'label', data: Int32Array.from(names, (_, i) => i % CLASSES), type: 'INT32' },
    ],
    rowGroupSize: 100,
  });
  const title = (what) => `${what}, ${count} JPEG`;
  const own = { folder: title('class folders') };
  return {
    [title('class folders')]: { dataset: classes, ...own },
    [title('.tar')]: { dataset: join(folder, 'images.tar'), ...own },
    [title('.tar.gz')]: { dataset: join(folder, 'images.tar.gz'), ...own },
    [title('.parquet')]: { dataset: join(folder, 'images.parquet'), ...own },
  };
}

async function makeDigits(folder, count) {
  const edge = 28;
  const { data } = syntheticImage(edge, edge * 10, 99);
  const pixels = Buffer.from(Uint8Array.from({ length: count * edge * edge }, (_, i) => data[(i * 7) % data.length]));
  const header = (magic, ...sizes) => Buffer.from(Uint32Array.of(magic, ...sizes).buffer).swap32();
  const images = Buffer.concat([header(0x803, count, edge, edge), pixels]);
  const labels = Buffer.concat([header(0x801, count), Uint8Array.from({ length: count }, (_, i) => i % CLASSES)]);
  const classes = join(folder, 'digits');
  for (let c = 0; c < CLASSES; c++) mkdirSync(join(classes, String(c)), { recursive: true });
  const inFolder = Math.ceil(count / 6);
  for (let i = 0; i < inFolder; i++) {
    const raw = { width: edge, height: edge, channels: 1 };
    const digit = pixels.subarray(i * edge * edge, (i + 1) * edge * edge);
    const png = await sharp(digit, { raw }).png({ compressionLevel: 1 }).toBuffer();
    writeFileSync(join(classes, String(i % CLASSES), `${i}.png`), png);
  }
  const folderTitle = `class folders, ${inFolder} PNG of ${edge}×${edge}`;
  const sources = { [folderTitle]: { dataset: classes, folder: folderTitle } };
  for (const [end, pack] of [
    ['', (bytes) => bytes],
    ['.gz', gzipSync],
  ]) {
    writeFileSync(join(folder, `digits-images-idx3-ubyte${end}`), pack(images));
    writeFileSync(join(folder, `digits-labels-idx1-ubyte${end}`), pack(labels));
    const dataset = join(folder, `digits-images-idx3-ubyte${end}`);
    sources[`IDX${end}, ${count} of ${edge}×${edge}`] = { dataset, folder: folderTitle };
  }
  return sources;
}
