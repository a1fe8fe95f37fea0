import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type * as Ort from 'onnxruntime-web';
import { InputError } from '../errors.js';
import { packageRequire } from '../package-root.js';
import { openOnThread } from './session-thread.js';
import type { Observation, Observed } from './observation.js';
import type { FeedTensor, RawTensor, RuntimeName, Session, ThreadSession } from './session-thread.js';

type Inputs = Readonly<Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>>;

/** The float model, run by ONNX Runtime. */
export interface FloatModel {
  /** `onnxruntime-node` or `onnxruntime-web`. */
  readonly runtime: string;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * @param inputs name → float32 data and shape; converted where the model takes float16 or float64
   * @param outputs which outputs to compute; default all
   */
  run(inputs: Inputs, outputs?: readonly string[]): Promise<Map<string, Float32Array>>;
  close(): Promise<void>;
}

export interface FloatModelOptions {
  /** Threads inside one run; default 1. */
  readonly threads?: number;
  /** Default: onnxruntime-node where it is installed and loads, as it is several times faster, else onnxruntime-web. */
  readonly runtime?: RuntimeName;
}

/**
 * Opens an ONNX model, given as a path (external data is found beside it) or as bytes.
 *
 * @throws InputError where ONNX Runtime refuses the model
 */
export async function openFloatModel(
  source: string | Uint8Array,
  options: FloatModelOptions = {},
): Promise<FloatModel> {
  const { session, runtime } = await openSession(source, options);
  return { runtime, ...asFloatModel(session) };
}

/** A float model that computes several images at once, while the thread that asks goes on. */
export interface FloatModelPool extends FloatModel {
  /** Runs that may be asked for at once. */
  readonly lanes: number;
  /** Runs the model, of float32, on inputs whose memory it takes, and keeps of each output what is wanted. */
  observe(
    inputs: ObservedInputs,
    wanted: ReadonlyMap<string, readonly Observation[]>,
  ): Promise<Map<string, Observed[]>>;
}

/** The same as a run's inputs, or zeros. */
type ObservedInputs = Readonly<
  Record<string, { readonly data: Float32Array | 'zeros'; readonly shape: readonly number[] }>
>;

/** Models of more bytes are opened once, and not once a lane. */
const LANE_BYTES = 1 << 27;

/**
 * Opens an ONNX model for many runs: on as many threads as are given, one run on each; a large one is opened once, and
 * all threads take part in each run.
 *
 * @throws InputError where ONNX Runtime refuses the model
 */
export async function openFloatPool(source: Uint8Array, threads: number): Promise<FloatModelPool> {
  const { name: runtime } = defaultRuntime();
  const lanes = runtime === 'onnxruntime-web' || source.byteLength > LANE_BYTES ? 1 : threads;
  const each = lanes === 1 ? threads : 1;
  const opened = await Promise.allSettled(
    Array.from({ length: lanes }, (_, lane) =>
      openOnThread(source, { runtime, threads: each, lane }, sessionOptions(each)),
    ),
  );
  const sessions = opened.flatMap((result) => (result.status === 'fulfilled' ? [asPooled(result.value)] : []));
  const close = async (): Promise<void> => void (await Promise.all(sessions.map((session) => session.close())));
  const failed = opened.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await close();
    throw refused(failed.reason as Error);
  }
  let next = 0;
  const { inputNames, outputNames } = sessions[0];
  const nextLane = () => sessions[next++ % lanes];
  return {
    runtime,
    lanes,
    inputNames,
    outputNames,
    run: (...run) => nextLane().run(...run),
    observe: (...run) => nextLane().observe(...run),
    close,
  };
}

function asPooled(session: ThreadSession): Omit<FloatModelPool, 'runtime' | 'lanes'> {
  return {
    ...asFloatModel(session),
    async observe(inputs, wanted) {
      const feeds = Object.entries(inputs).map(([name, { data, shape: dims }]): [string, FeedTensor] => [
        name,
        data === 'zeros' ? { type: 'zeros', dims } : { type: 'float32', data, dims },
      ]);
      return new Map(Object.entries(await session.observe(Object.fromEntries(feeds), Object.fromEntries(wanted))));
    },
  };
}

/**
 * A model after ONNX Runtime's basic optimisations: batch norms folded, constants computed, standard operators alone.
 *
 * @throws InputError where onnxruntime-node is not installed, as only that one writes models, or refuses the model
 */
export async function optimizeFloatModel(source: string): Promise<Uint8Array> {
  const native = loadNative();
  if (native instanceof Error) throw notLoaded(native);
  const folder = await mkdtemp(path.join(tmpdir(), 'ivit-optimized-'));
  try {
    const optimizedModelFilePath = path.join(folder, 'model.onnx');
    const options = { ...sessionOptions(1), graphOptimizationLevel: 'basic', optimizedModelFilePath } as const;
    await (await openNativeSession(native, source, options)).release();
    return await readFile(optimizedModelFilePath);
  } catch (error) {
    throw refused(error as Error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function asFloatModel(session: Session): Omit<FloatModel, 'runtime'> {
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(inputs, outputs) {
      const results = await session.run(feedsOf(session, inputs), outputs ?? session.outputNames);
      return new Map(Object.entries(results).map(([output, tensor]) => [output, toFloat32(tensor)]));
    },
    close: () => session.release(),
  };
}

function feedsOf({ inputNames, inputTypes }: Session, inputs: Inputs): Record<string, RawTensor> {
  return Object.fromEntries(
    Object.entries(inputs).map(([input, { data, shape: dims }]) => [
      input,
      { ...encoded(data, inputTypes[inputNames.indexOf(input)]), dims },
    ]),
  );
}

/** Which ONNX Runtime `openFloatModel` takes by itself; `reason` says why onnxruntime-node does not load. */
export function defaultRuntime(): { readonly name: RuntimeName; readonly reason: string | null } {
  const native = loadNative();
  return native instanceof Error
    ? { name: 'onnxruntime-web', reason: native.message.split('\n')[0] }
    : { name: 'onnxruntime-node', reason: null };
}

/** The version of the package that is installed; null where it cannot be told. */
export function runtimeVersion(name: string): string | null {
  try {
    // Of its files only some may be asked for by name.
    const entry = packageRequire().resolve(name);
    const manifest = `${entry.slice(0, entry.lastIndexOf(`${path.sep}${name}${path.sep}`))}/${name}/package.json`;
    return (createRequire(manifest)(manifest) as { version: string }).version;
  } catch {
    return null;
  }
}

let loaded: typeof Ort | Error | undefined;

/** onnxruntime-node, or why it does not load. It is no dependency: the user installs it beside ivit. */
function loadNative(): typeof Ort | Error {
  try {
    loaded ??= packageRequire()('onnxruntime-node') as typeof Ort;
  } catch (error) {
    loaded = error as Error;
  }
  return loaded;
}

async function openSession(
  source: string | Uint8Array,
  { runtime, threads = 1 }: FloatModelOptions,
): Promise<{ session: Session; runtime: RuntimeName }> {
  const native = runtime === 'onnxruntime-web' ? null : loadNative();
  if (runtime === 'onnxruntime-node' && native instanceof Error) throw notLoaded(native);
  try {
    return native === null || native instanceof Error
      ? {
          session: await openOnThread(
            source,
            { runtime: 'onnxruntime-web', threads, lane: 0 },
            sessionOptions(threads),
          ),
          runtime: 'onnxruntime-web',
        }
      : { session: await openNativeSession(native, source, sessionOptions(threads)), runtime: 'onnxruntime-node' };
  } catch (error) {
    throw refused(error as Error);
  }
}

function notLoaded({ message }: Error): InputError {
  return new InputError(
    `onnxruntime-node cannot be loaded: ${message.split('\n')[0]}; npm install onnxruntime-node --ignore-scripts ` +
      'brings it',
    { code: 'FLOAT_RUNTIME' },
  );
}

function refused({ message }: Error): InputError {
  const [reason] = message.split('\n');
  return new InputError(
    `ONNX Runtime cannot run the float model (${reason.replace(/\.$/, '')}): check that the file is whole, or export ` +
      'it again',
    { code: 'FLOAT_RUNTIME' },
  );
}

function sessionOptions(threads: number): Ort.InferenceSession.SessionOptions {
  return {
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  };
}

async function openNativeSession(
  ort: typeof Ort,
  source: string | Uint8Array,
  options: Ort.InferenceSession.SessionOptions,
): Promise<Session> {
  // The two overloads, of a path and of bytes, do not take their union.
  const session = await ort.InferenceSession.create(source as string, options);
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    inputTypes: session.inputMetadata.map((metadata) => (metadata.isTensor ? metadata.type : 'float32')),
    async run(feeds, outputs) {
      const tensors = Object.entries(feeds).map(
        ([name, { type, data, dims }]) =>
          [name, new ort.Tensor(type as 'float32', data as Float32Array, dims)] as const,
      );
      const results = await session.run(Object.fromEntries(tensors), outputs);
      return Object.fromEntries(
        Object.entries(results).map(([name, tensor]) => {
          const { type, dims } = tensor;
          // The memory is ONNX Runtime's, which takes it back.
          const data = (tensor.data as RawTensor['data']).slice();
          tensor.dispose();
          return [name, { type, data, dims }];
        }),
      );
    },
    release: () => session.release(),
  };
}

/** Numbers as a model takes them. */
function encoded(data: Float32Array, type = 'float32'): Pick<RawTensor, 'type' | 'data'> {
  if (type === 'float16') return { type, data: toHalf(data) };
  return type === 'float64' ? { type, data: Float64Array.from(data) } : { type: 'float32', data };
}

function toFloat32({ type, data }: RawTensor): Float32Array {
  if (type === 'float32') return data as Float32Array;
  if (type === 'float16') {
    const { buffer, byteOffset, length } = data;
    return Float32Array.from(new Uint16Array(buffer, byteOffset, length), fromHalf);
  }
  return Float32Array.from(data as ArrayLike<number | bigint>, Number);
}

/** IEEE half precision bits → number. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** float32 → half precision bits, to nearest, ties to even; overflow to infinity. */
function toHalf(data: Float32Array): Uint16Array {
  return Uint16Array.from(data, (value) => {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    const a = Math.abs(value);
    if (Number.isNaN(a)) return 0x7e00;
    if (a >= 65520) return sign | 0x7c00;
    const exponent = Math.max(-14, Math.floor(Math.log2(a)));
    const scaled = a === 0 ? 0 : a * 2 ** (10 - exponent);
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
    // Adding the rounded mantissa to the shifted exponent carries into it where the mantissa overflows.
    return sign | (((exponent + 14) << 10) + rounded);
  });
}
