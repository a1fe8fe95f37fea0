/**
 * Whether more threads are ever slower than one: one image at a time, on one thread and on two in turn, alone and with
 * other processes that keep cores busy.
 *
 *   node tools/measure/busy.mjs MODEL.ivit [images]
 */
import { spawn } from 'node:child_process';
import { Model } from '../../dist/index.js';

const [file, images = '100'] = process.argv.slice(2);
const NEIGHBOURS = [0, 1, 2];
const THREADS = [1, 2];
const WARM_UP = 5;

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];

const models = await Promise.all(THREADS.map((threads) => Model.load(file, { backend: 'native', threads })));
const { height, width, channels } = models[0].file.program.input;
const pixels = Uint8Array.from({ length: height * width * channels }, (_, i) => (i * 31) & 255);
process.stdout.write(
  '| busy processes beside | threads | median ms | 90 % ms | × one thread |\n|--:|--:|--:|--:|--:|\n',
);
for (const count of NEIGHBOURS) {
  const neighbours = Array.from({ length: count }, () => spawn(process.execPath, ['-e', 'for (;;);']));
  const times = THREADS.map(() => []);
  for (let i = -WARM_UP; i < Number(images); i++) {
    for (const [m, model] of models.entries()) {
      const start = performance.now();
      await model.run(pixels);
      if (i >= 0) times[m].push(performance.now() - start);
    }
  }
  for (const neighbour of neighbours) neighbour.kill('SIGKILL');
  for (const list of times) list.sort((a, b) => a - b);
  for (const [m, list] of times.entries()) {
    const median = quantile(list, 0.5);
    const ratio = (quantile(times[0], 0.5) / median).toFixed(2);
    const cells = [count, THREADS[m], median.toFixed(2), quantile(list, 0.9).toFixed(2), ratio];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}
await Promise.all(models.map((model) => model.close()));
