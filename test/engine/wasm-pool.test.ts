import type { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { WasmPool } from '../../src/engine/wasm-pool.js';
import { WasmProgram } from '../../src/engine/wasm.js';
import { workOfProgram } from '../../src/engine/plan/index.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { tinyProgram } from '../program/tiny.js';
import { WASM } from './backends.js';

const program = tinyProgram();
const pixels = Uint8Array.from({ length: 192 }, (_, i) => i);

const poolOf = () => new WasmPool(new WasmProgram(WASM[0].module, workOfProgram(program)).snapshot(), 2);
const workersOf = (pool: WasmPool) => (pool as unknown as { readonly workers: readonly Worker[] }).workers;

test('a worker that ends while it is idle: later runs are refused, and none waits for it', async () => {
  const pool = poolOf();
  expect(await pool.run(pixels)).toEqual(await createReferenceEngine(program).run(pixels));
  await workersOf(pool)[0].terminate();
  await expect(pool.run(pixels)).rejects.toThrow('A worker thread that runs the model ended');
  await pool.close();
});

test('a worker that ends at work: all that wait are told', async () => {
  const pool = poolOf();
  const runs = Array.from({ length: 50 }, () => pool.run(pixels));
  const ends = Promise.allSettled(runs);
  await workersOf(pool)[1].terminate();
  expect((await ends).filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
  await pool.close();
});
