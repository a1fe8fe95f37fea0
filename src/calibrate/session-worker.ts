/** What a thread of ONNX Runtime does: see session-thread.ts. */
import { parentPort } from 'node:worker_threads';
import type * as Ort from 'onnxruntime-web';
import type { RawTensor, SessionCall, SessionDescription } from './session-thread.js';

/** Answers the calls that come to this thread, one after the other. */
export function serveSessions(ort: typeof Ort): void {
  const sessions = new Sessions(ort);
  let last: Promise<unknown> = Promise.resolve();
  parentPort!.on('message', (call: SessionCall) => (last = last.then(() => answer(sessions, call))));
}

async function answer(sessions: Sessions, { call, session, request }: SessionCall): Promise<void> {
  try {
    const transfer: ArrayBuffer[] = [];
    const result = await sessions.perform(session, request, transfer);
    parentPort!.postMessage({ call, result }, transfer);
  } catch (error) {
    parentPort!.postMessage({ call, error: error instanceof Error ? error.message : String(error) });
  }
}

class Sessions {
  readonly #open = new Map<number, Ort.InferenceSession>();

  constructor(private readonly ort: typeof Ort) {}

  async perform(id: number, request: SessionCall['request'], transfer: ArrayBuffer[]): Promise<unknown> {
    switch (request.kind) {
      case 'create': {
        // The two overloads, of a path and of bytes, do not take their union.
        const created = await this.ort.InferenceSession.create(request.source as string, request.options);
        this.#open.set(id, created);
        return describe(created);
      }
      case 'run': {
        const feeds = Object.entries(request.feeds).map(([name, tensor]) => [name, this.#toTensor(tensor)] as const);
        const results = await this.#open.get(id)!.run(Object.fromEntries(feeds), request.outputs);
        return Object.fromEntries(
          Object.entries(results).map(([name, tensor]) => [name, fromTensor(tensor, transfer)]),
        );
      }
      case 'release':
        await this.#open.get(id)!.release();
        this.#open.delete(id);
    }
  }

  #toTensor({ type, data, dims }: RawTensor): Ort.Tensor {
    return new this.ort.Tensor(type as 'float32', data as Float32Array, dims);
  }
}

function describe(session: Ort.InferenceSession): SessionDescription {
  const { inputNames, outputNames, inputMetadata } = session;
  const inputTypes = inputMetadata.map((metadata) => (metadata.isTensor ? metadata.type : 'float32'));
  return { inputNames: [...inputNames], outputNames: [...outputNames], inputTypes };
}

/** The memory is ONNX Runtime's, which takes it back: some of it cannot go to another thread. */
function fromTensor(tensor: Ort.Tensor, transfer: ArrayBuffer[]): RawTensor {
  const { type, dims } = tensor;
  const data = (tensor.data as RawTensor['data']).slice();
  transfer.push(data.buffer as ArrayBuffer);
  tensor.dispose();
  return { type, data, dims };
}
