import { Worker } from 'node:worker_threads';
import type { InferenceSession } from 'onnxruntime-web';
import { packageFile } from '../package-root.js';
import type { Observation, Observed } from './observation.js';
import { ThreadState } from './thread-state.js';

/** A tensor as it goes between threads: the elements as ONNX Runtime keeps them. */
export interface RawTensor {
  readonly type: string;
  readonly data: Float32Array | Uint16Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
  readonly dims: readonly number[];
}

/** What a model is given: zeros of float32 are made on the thread that reads them. */
export type FeedTensor = RawTensor | { readonly type: 'zeros'; readonly dims: readonly number[] };

export interface SessionDescription {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Of each input, ONNX Runtime's name: `float32`, `float16`, … */
  readonly inputTypes: readonly string[];
}

/** What ONNX Runtime does with one model, on whichever thread. */
export interface Session extends SessionDescription {
  run(feeds: Readonly<Record<string, RawTensor>>, outputs: readonly string[]): Promise<Record<string, RawTensor>>;
  release(): Promise<void>;
}

/** A session on a thread of its own, which can also look at values of float32 without handing them over. */
export interface ThreadSession extends Session {
  /** @param feeds their memory goes to the thread */
  observe(
    feeds: Readonly<Record<string, FeedTensor>>,
    wanted: Readonly<Record<string, readonly Observation[]>>,
  ): Promise<Record<string, Observed[]>>;
}

/** What session-worker.ts is asked for; it answers with the number of the call. */
export interface SessionCall {
  readonly call: number;
  readonly session: number;
  readonly request:
    | {
        readonly kind: 'create';
        readonly source: string | Uint8Array;
        readonly options: InferenceSession.SessionOptions;
      }
    | { readonly kind: 'run'; readonly feeds: Readonly<Record<string, RawTensor>>; readonly outputs: readonly string[] }
    | {
        readonly kind: 'observe';
        readonly feeds: Readonly<Record<string, FeedTensor>>;
        readonly wanted: Readonly<Record<string, readonly Observation[]>>;
      }
    | { readonly kind: 'release' };
}

/** What a thread is started with. */
export interface ThreadData {
  /** Of onnxruntime-web, inside one run. */
  readonly threads: number;
  readonly state: SharedArrayBuffer;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Where ONNX Runtime computes: this package's own copy of onnxruntime-web, or the user's onnxruntime-node. */
export type RuntimeName = 'onnxruntime-node' | 'onnxruntime-web';

const WORKERS: Readonly<Record<RuntimeName, string>> = {
  'onnxruntime-node': 'dist/calibrate/node-worker.js',
  'onnxruntime-web': 'dist/onnxruntime/web-worker.mjs',
};

/** A thread that ONNX Runtime runs on; it starts more of its own. */
class SessionThread {
  private readonly state = new ThreadState();
  private readonly worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private calls = 0;
  private sessions = 0;
  private failure: Error | null = null;

  constructor(
    private readonly runtime: RuntimeName,
    threads: number,
    onEnd: () => void,
  ) {
    this.state.begin(); // until it is loaded
    const workerData: ThreadData = { threads, state: this.state.buffer };
    // Options of this process, such as --input-type, may not suit a thread that runs a file.
    this.worker = new Worker(packageFile(WORKERS[runtime]), { workerData, execArgv: [] });
    this.worker.unref(); // only work keeps the process alive
    this.worker.on('message', (answer: { call: number; result?: unknown; error?: string }) => {
      const { resolve, reject } = this.pending.get(answer.call)!;
      this.settle(answer.call);
      if (answer.error === undefined) resolve(answer.result);
      else reject(new Error(answer.error));
    });
    const fail = (error: Error) => {
      this.failure ??= error;
      onEnd();
      for (const [call, { reject }] of this.pending) {
        this.settle(call);
        reject(error);
      }
    };
    this.worker.on('error', fail);
    this.worker.on('exit', (code) => fail(new Error(`the thread of ${runtime} ended with ${code}`)));
  }

  async open(source: string | Uint8Array, options: InferenceSession.SessionOptions): Promise<ThreadSession> {
    const session = this.sessions++;
    const description = (await this.ask(session, {
      kind: 'create',
      source: compact(source),
      options,
    })) as SessionDescription;
    return {
      ...description,
      run: (feeds, outputs) =>
        this.ask(session, { kind: 'run', feeds: compacted(feeds), outputs }) as Promise<Record<string, RawTensor>>,
      observe: (feeds, wanted) => {
        const given = compacted(feeds);
        return this.ask(session, { kind: 'observe', feeds: given, wanted }, buffersIn(given)) as Promise<
          Record<string, Observed[]>
        >;
      },
      release: async () => void (await this.ask(session, { kind: 'release' })),
    };
  }

  /** Before the process ends. WebAssembly can be ended at any moment. */
  stop(): void {
    if (this.runtime === 'onnxruntime-node') this.state.stop();
  }

  private ask(session: number, request: SessionCall['request'], transfer: ArrayBuffer[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.failure !== null) return reject(this.failure);
      const call = this.calls++;
      this.worker.postMessage({ call, session, request } satisfies SessionCall, transfer);
      this.worker.ref();
      this.pending.set(call, { resolve, reject });
    });
  }

  private settle(call: number): void {
    this.pending.delete(call);
    if (this.pending.size === 0) this.worker.unref();
  }
}

/**
 * A message carries the whole buffer that an array lies in: an array that is part of a larger one is copied out of it.
 */
function compact<T extends string | RawTensor['data']>(data: T): T {
  if (typeof data === 'string' || data.byteLength === data.buffer.byteLength) return data;
  return data.slice() as T;
}

function compacted<T extends FeedTensor>(feeds: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => [
      name,
      tensor.type === 'zeros' ? tensor : { ...tensor, data: compact((tensor as RawTensor).data) },
    ]),
  );
}

function buffersIn(feeds: Readonly<Record<string, FeedTensor>>): ArrayBuffer[] {
  const buffers = Object.values(feeds).flatMap((tensor) => ('data' in tensor ? [tensor.data.buffer] : []));
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
}

/** By runtime, number of threads, which onnxruntime-web takes once, when it starts, and place among its like. */
const running = new Map<string, SessionThread>();

/** Whoever ends the process, a signal or the user's program: runs at hand end first. */
const stopAll = (): void => running.forEach((thread) => thread.stop());

interface SessionPlace {
  readonly runtime: RuntimeName;
  /** Threads inside one run. */
  readonly threads: number;
  /** Sessions of different lanes run at once; all of one lane share a thread. */
  readonly lane: number;
}

/** Opens a model on a thread of its own that all models of the same place share. */
export function openOnThread(
  source: string | Uint8Array,
  { runtime, threads, lane }: SessionPlace,
  options: InferenceSession.SessionOptions,
): Promise<ThreadSession> {
  const key = `${runtime} ${threads} ${lane}`;
  let thread = running.get(key);
  if (thread === undefined) {
    if (!process.listeners('exit').includes(stopAll)) process.once('exit', stopAll);
    thread = new SessionThread(runtime, threads, () => running.delete(key));
    running.set(key, thread);
  }
  return thread.open(source, options);
}
