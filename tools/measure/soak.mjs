/**
 * Whether memory stays flat and answers stay right over the life of a long-running process, on native code and
 * WebAssembly: many inferences, one model loaded and closed many times, a hundred runs at a time, models closed while
 * they run, runs after that. Prints the resident memory after each quarter; ends with 1 where it grew after the first
 * by more than GROWTH, or an answer was wrong. Needs `npm run build`.
 *
 *   node tools/measure/soak.mjs [inferences] [loads] [model.ivit]
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Model } from '../../dist/index.js';
import { root } from '../prepare.mjs';

/** Bytes that the resident memory may differ by: garbage, and pages that allocators keep. */
const GROWTH = 16 * 2 ** 20;

const [inferences = '50000', loads = '2000', file = join(root, 'test/program/golden.ivit'), backend] =
  process.argv.slice(2);
const threads = Math.min(2, availableParallelism());

if (backend === undefined) {
  const ends = ['native', 'wasm'].map((name) => {
    const args = ['--expose-gc', fileURLToPath(import.meta.url), inferences, loads, file, name];
    return spawnSync(process.execPath, args, { stdio: 'inherit' }).status;
  });
  process.exitCode = ends.every((status) => status === 0) ? 0 : 1;
} else {
  const start = performance.now();
  const { images, expected } = await answers();
  await phase('inferences', Number(inferences), 500, await inferring(images, expected));
  await phase('loads and closes', Number(loads), 50, loading(images, expected));
  // V8's young generation takes some hundred of these to reach its size.
  await phase('100 runs at a time', 600, 400, await crowding(images, expected));
  await phase('closed while running', 400, 50, closing(images, expected));
  process.stdout.write(`${backend}: ${Math.round((performance.now() - start) / 1000)} s\n`);
}

/** Images, and what the reference makes of them. */
async function answers() {
  const model = await Model.load(file, { backend: 'reference' });
  const { height, width, channels } = model.file.program.input;
  const images = Array.from({ length: 16 }, (_, k) =>
    Uint8Array.from(
      { length: height * width * channels },
      (_, i) => (Math.imul(i + 7, 2654435761 * (k + 1)) >>> 9) & 255,
    ),
  );
  const expected = [];
  for (const image of images) expected.push(await model.run(image));
  return { images, expected };
}

function same(found, expected, what) {
  if (found.length === expected.length && found.every((v, i) => v === expected[i])) return;
  throw new Error(`${backend}: ${what} gave other logits than the reference`);
}

function open(count) {
  return Model.load(file, { backend, threads: count });
}

async function inferring(images, expected) {
  const model = await open(1);
  return async (i) => same(await model.run(images[i % 16]), expected[i % 16], `inference ${i}`);
}

function loading(images, expected) {
  return async (i) => {
    const model = await open(1);
    same(await model.run(images[i % 16]), expected[i % 16], `load ${i}`);
    await model.close();
  };
}

async function crowding(images, expected) {
  const model = await open(threads);
  return async () => {
    const found = await Promise.all(Array.from({ length: 100 }, (_, k) => model.run(images[k % 16])));
    found.forEach((logits, k) => same(logits, expected[k % 16], `run ${k} of 100`));
  };
}

/** What was asked before the close is answered, and what is asked after it refused. */
function closing(images, expected) {
  return async () => {
    const model = await open(threads);
    const runs = images.map((image) => model.run(image));
    const closed = model.close();
    (await Promise.all(runs)).forEach((logits, k) => same(logits, expected[k], `run ${k} beside close`));
    await closed;
    await model.close();
    const late = await model.run(images[0]).catch((error) => error);
    if (late?.name !== 'UsageError') throw new Error(`${backend}: a run after close gave ${late}`);
  };
}

/** Does `act` so many times, and looks at memory after each quarter; `warm`: times before that. */
async function phase(name, times, warm, act) {
  const quarters = [];
  for (let i = 0; i < warm; i++) await act(i);
  for (let i = 0; i < times; i++) {
    await act(i);
    if (Math.floor(((i + 1) * 4) / times) > quarters.length) quarters.push(await resident());
  }
  const grown = quarters.at(-1) - quarters[0] > GROWTH;
  if (grown) process.exitCode = 1;
  const sizes = quarters.map((bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`).join(', ');
  process.stdout.write(`${backend}: ${times} ${name}: ${sizes}${grown ? ': memory grows' : ''}\n`);
}

/** What the process has in memory, garbage collected; instances of WebAssembly go a moment after. */
async function resident() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage.rss();
}
