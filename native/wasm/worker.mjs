/**
 * Runs images through a copy of a program that the main thread has loaded: the instance's memory holds all of it,
 * packed weights included, so it is copied and nothing is loaded again.
 */
import { parentPort, workerData } from 'node:worker_threads';

const { module, memory, context, input, output, outputLength } = workerData;
const { exports } = new WebAssembly.Instance(module, { host: { clock: () => 0n } });
const missing = memory.byteLength - exports.memory.buffer.byteLength;
if (missing > 0) exports.memory.grow(missing / 65536);
new Uint8Array(exports.memory.buffer).set(new Uint8Array(memory));

parentPort.on('message', (pixels) => {
  new Uint8Array(exports.memory.buffer).set(pixels, input);
  exports.ivit_context_begin(context);
  exports.ivit_context_run(context, 0);
  const logits = new Int32Array(exports.memory.buffer, output, outputLength).slice();
  parentPort.postMessage(logits, [logits.buffer]);
});
