/**
 * onnxruntime-web computes on the thread that calls it, for minutes where models are large. It runs here, in a thread
 * of its own, so that the main thread still hears of signals and ends when told to. rolldown packs this file, with what
 * ONNX Runtime needs and no more, into dist/onnxruntime.
 */
import { workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-web';
import type { ThreadData } from './session-thread.js';
import { serveSessions } from './session-worker.js';

ort.env.logLevel = 'error';
// Taken when the first session starts, once.
ort.env.wasm.numThreads = (workerData as ThreadData).threads;
serveSessions(ort, (data) => data);
