/** What a thread of ONNX Runtime does: see session-thread.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import type * as Ort from 'onnxruntime-web';
import { buffersOf, observe, type Observed } from './observation.js';
import type { FeedTensor, RawTensor, SessionCall, SessionDescription, ThreadData } from './session-thread.js';
import { ThreadState } from './thread-state.js';

/** The elements of a result, in memory that may go to another thread. */
type Take = (data: RawTensor['data']) => RawTensor['data'];

/** Answers the calls that come to this thread, one after the other. */
export function serveSessions(ort: typeof Ort, take: Take): void {
  const sessions = new Sessions(ort, take);
  const state = new ThreadState((workerData as ThreadData).state);
  let last: Promise<unknown> = Promise.resolve();
  parentPort!.on('message', (call: SessionCall) => {
    last = last.then(async () => {
      if (state.begin()) await answer(sessions, call);
      state.end();
    });
  });
  state.end(); // it is loaded
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
  #zeros = new Float32Array(0);

  constructor(
    private readonly ort: typeof Ort,
    private readonly take: Take,
  ) {}

  async perform(id: number, request: SessionCall['request'], transfer: ArrayBuffer[]): Promise<unknown> {
    switch (request.kind) {
      case 'create': {
        // The two overloads, of a path and of bytes, do not take their union.
        const created = await this.ort.InferenceSession.create(request.source as string, request.options);
        this.#open.set(id, created);
        return describe(created);
      }
      case 'run': {
        const results = await this.#run(id, request.feeds, request.outputs);
        return Object.fromEntries(
          Object.entries(results).map(([name, tensor]) => [name, this.#fromTensor(tensor, transfer)]),
        );
      }
      case 'observe': {
        const { feeds, wanted } = request;
        const results = await this.#run(id, feeds, Object.keys(wanted));
        return Object.fromEntries(
          Object.entries(results).map(([name, tensor]): [string, Observed[]] => {
            const observed = wanted[name].map((one) => observe(tensor.data as Float32Array, one));
            tensor.dispose();
            transfer.push(...observed.flatMap(buffersOf));
            return [name, observed];
          }),
        );
      }
      case 'release':
        await this.#open.get(id)!.release();
        this.#open.delete(id);
    }
  }

  #run(id: number, feeds: Readonly<Record<string, FeedTensor>>, outputs: readonly string[]) {
    const tensors = Object.entries(feeds).map(([name, tensor]) => [name, this.#toTensor(tensor)] as const);
    return this.#open.get(id)!.run(Object.fromEntries(tensors), outputs);
  }

  #toTensor(tensor: FeedTensor): Ort.Tensor {
    if (tensor.type === 'zeros') {
      const length = tensor.dims.reduce((product, size) => product * size, 1);
      if (this.#zeros.length < length) this.#zeros = new Float32Array(length);
      return new this.ort.Tensor('float32', this.#zeros.subarray(0, length), tensor.dims);
    }
    const { type, data, dims } = tensor as RawTensor;
    return new this.ort.Tensor(type as 'float32', data as Float32Array, dims);
  }

  #fromTensor(tensor: Ort.Tensor, transfer: ArrayBuffer[]): RawTensor {
    const { type, dims } = tensor;
    const data = this.take(tensor.data as RawTensor['data']);
    if (data.buffer instanceof ArrayBuffer && !transfer.includes(data.buffer)) transfer.push(data.buffer);
    tensor.dispose();
    return { type, data, dims };
  }
}

function describe(session: Ort.InferenceSession): SessionDescription {
  const { inputNames, outputNames, inputMetadata } = session;
  const inputTypes = inputMetadata.map((metadata) => (metadata.isTensor ? metadata.type : 'float32'));
  return { inputNames: [...inputNames], outputNames: [...outputNames], inputTypes };
}
