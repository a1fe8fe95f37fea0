/**
 * onnxruntime-web computes on the thread that calls it, for minutes where models are large. It runs here, in a thread
 * of its own, so that the main thread still hears of signals and ends when told to. rolldown packs this file, with what
 * ONNX Runtime needs and no more, into dist/onnxruntime.
 */
import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-web';
import type { RawTensor, SessionCall, SessionDescription } from './web-session.js';

const { threads } = workerData as { threads: number };
ort.env.logLevel = 'error';
// Taken when the first session starts, once.
ort.env.wasm.numThreads = threads;

const sessions = new Map<number, ort.InferenceSession>();

parentPort!.on('message', async ({ call, session, request }: SessionCall) => {
  try {
    const transfer: ArrayBuffer[] = [];
    const result = await perform(session, request, transfer);
    parentPort!.postMessage({ call, result }, transfer);
  } catch (error) {
    parentPort!.postMessage({ call, error: error instanceof Error ? error.message : String(error) });
  }
});

async function perform(id: number, request: SessionCall['request'], transfer: ArrayBuffer[]): Promise<unknown> {
  switch (request.kind) {
    case 'create': {
      // The two overloads, of a path and of bytes, do not take their union.
      const created = await ort.InferenceSession.create(request.source as string, request.options);
      sessions.set(id, created);
      return describe(created);
    }
    case 'run': {
      const feeds = Object.entries(request.feeds).map(([name, tensor]) => [name, toTensor(tensor)] as const);
      const results = await sessions.get(id)!.run(Object.fromEntries(feeds), request.outputs);
      return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromTensor(tensor, transfer)]));
    }
    case 'release':
      await sessions.get(id)!.release();
      sessions.delete(id);
  }
}

function describe(session: ort.InferenceSession): SessionDescription {
  const { inputNames, outputNames, inputMetadata } = session;
  const inputTypes = inputMetadata.map((metadata) => (metadata.isTensor ? metadata.type : 'float32'));
  return { inputNames: [...inputNames], outputNames: [...outputNames], inputTypes };
}

function toTensor({ type, data, dims }: RawTensor): ort.Tensor {
  return new ort.Tensor(type as 'float32', data as Float32Array, dims);
}

function fromTensor(tensor: ort.Tensor, transfer: ArrayBuffer[]): RawTensor {
  const { type, dims } = tensor;
  const data = tensor.data as RawTensor['data'];
  if (data.buffer instanceof ArrayBuffer && !transfer.includes(data.buffer)) transfer.push(data.buffer);
  tensor.dispose();
  return { type, data, dims };
}
