import { quantilesOf } from '../metrics/quantiles.js';
import { milliseconds } from '../number-format.js';
import type { WebModel } from '../web/index.js';
import { element, pairsOf } from './dom.js';

const WARM_UP = 5;
const AT_LEAST_MS = 2000;
const AT_LEAST_RUNS = 5;

/** Times the model on made-up pixels: one image after the other, then as many at a time as there are threads. */
export async function benchmark(model: WebModel): Promise<Node> {
  const { height, width, channels } = model.info.input;
  const pixels = Uint8Array.from({ length: height * width * channels }, (_, i) => (i * 2654435761) >>> 24);
  for (let i = 0; i < WARM_UP; i++) await model.run(pixels);
  const times: number[] = [];
  const start = performance.now();
  while (times.length < AT_LEAST_RUNS || performance.now() - start < AT_LEAST_MS) {
    const before = performance.now();
    await model.run(pixels);
    times.push(performance.now() - before);
  }
  const { p50, p90 } = quantilesOf(times);
  const rows: [string, string][] = [
    ['one image', `${milliseconds(p50)} (median of ${times.length}), ${milliseconds(p90)} at the 90th percentile`],
  ];
  if (model.threads > 1)
    rows.push([`${model.threads} threads`, `${(await throughput(model, pixels)).toFixed(1)} images/s`]);
  return element('dl', { className: 'pairs' }, pairsOf(rows));
}

/** Images a second, of all threads. */
async function throughput(model: WebModel, pixels: Uint8Array): Promise<number> {
  const batch = Array.from({ length: 2 * model.threads }, () => pixels);
  await model.runAll(batch);
  const start = performance.now();
  let count = 0;
  do {
    await model.runAll(batch);
    count += batch.length;
  } while (performance.now() - start < AT_LEAST_MS);
  return (1000 * count) / (performance.now() - start);
}
