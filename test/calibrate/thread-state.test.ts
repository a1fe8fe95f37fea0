import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { ThreadState } from '../../src/calibrate/thread-state.js';

test('nothing begins once the process ends', () => {
  const state = new ThreadState();
  const other = new ThreadState(state.buffer);
  expect(other.begin()).toBe(true);
  other.end();
  state.stop();
  expect(other.begin()).toBe(false);
});

test('the end of the process waits for the work at hand', async () => {
  const state = new ThreadState();
  state.begin();
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    const cells = new Int32Array(workerData);
    parentPort.postMessage('begun');
    setTimeout(() => { Atomics.store(cells, 0, 0); Atomics.notify(cells, 0); }, 200);
  `;
  const worker = new Worker(source, { eval: true, workerData: state.buffer });
  await new Promise((resolve) => worker.once('message', resolve));
  state.stop();
  // Not after the longest wait, and not at once: the work had not ended.
  expect(Atomics.load(new Int32Array(state.buffer), 0)).toBe(0);
  await worker.terminate();
});
