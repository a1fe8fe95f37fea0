import { createRequire } from 'node:module';
import { InputError } from '../errors.js';
import type * as Ort from 'onnxruntime-web';

/** The float model, run by ONNX Runtime. */
export interface FloatModel {
  /** `onnxruntime-node` or `onnxruntime-web`. */
  readonly runtime: string;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * @param inputs name → float32 data and shape; converted where the model takes float16
   * @param outputs which outputs to compute; default all
   */
  run(
    inputs: Readonly<Record<string, { data: Float32Array; shape: readonly number[] }>>,
    outputs?: readonly string[],
  ): Promise<Map<string, Float32Array>>;
  close(): Promise<void>;
}

export interface FloatModelOptions {
  /** Threads inside one run; default 1. */
  readonly threads?: number;
  /** Default: onnxruntime-node where it is installed and loads, as it is several times faster, else onnxruntime-web. */
  readonly runtime?: 'onnxruntime-node' | 'onnxruntime-web';
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
  const { ort, name } = await loadRuntime(options.runtime);
  const session = await createSession(ort, name, source, options.threads ?? 1);
  const types = new Map(session.inputNames.map((input, i) => [input, typeOfInput(session, i)]));
  return {
    runtime: name,
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(inputs, outputs) {
      const feeds: Record<string, Ort.Tensor> = {};
      for (const [input, { data, shape }] of Object.entries(inputs)) {
        feeds[input] =
          types.get(input) === 'float16'
            ? new ort.Tensor('float16', toHalf(data), shape)
            : new ort.Tensor('float32', data, shape);
      }
      const results = await session.run(feeds, outputs ?? session.outputNames);
      const values = new Map<string, Float32Array>();
      for (const [output, tensor] of Object.entries(results)) {
        values.set(output, toFloat32(tensor));
        tensor.dispose();
      }
      return values;
    },
    close: () => session.release(),
  };
}

interface Runtime {
  readonly ort: typeof Ort;
  readonly name: 'onnxruntime-node' | 'onnxruntime-web';
}

const loaded = new Map<string, Runtime>();

async function loadRuntime(wanted?: Runtime['name']): Promise<Runtime> {
  const key = wanted ?? 'any';
  const known = loaded.get(key);
  if (known !== undefined) return known;
  const runtime = (wanted === 'onnxruntime-web' ? null : loadNative(wanted !== undefined)) ?? (await loadWeb());
  loaded.set(key, runtime);
  return runtime;
}

function loadNative(required: boolean): Runtime | null {
  try {
    return { ort: createRequire(import.meta.url)('onnxruntime-node') as typeof Ort, name: 'onnxruntime-node' };
  } catch (error) {
    if (required) throw new InputError(`onnxruntime-node cannot be loaded: ${(error as Error).message.split('\n')[0]}`);
    return null;
  }
}

async function loadWeb(): Promise<Runtime> {
  const ort = await import('onnxruntime-web');
  ort.env.logLevel = 'error';
  return { ort, name: 'onnxruntime-web' };
}

async function createSession(
  ort: typeof Ort,
  name: Runtime['name'],
  source: string | Uint8Array,
  threads: number,
): Promise<Ort.InferenceSession> {
  // The WebAssembly runtime takes its thread count when it starts, once.
  if (name === 'onnxruntime-web') ort.env.wasm.numThreads = threads;
  const sessionOptions: Ort.InferenceSession.SessionOptions = {
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  };
  try {
    return typeof source === 'string'
      ? await ort.InferenceSession.create(source, sessionOptions)
      : await ort.InferenceSession.create(source, sessionOptions);
  } catch (error) {
    throw new InputError(`ONNX Runtime cannot run the float model: ${(error as Error).message.split('\n')[0]}`);
  }
}

function typeOfInput(session: Ort.InferenceSession, i: number): string {
  const metadata = session.inputMetadata[i];
  return metadata !== undefined && metadata.isTensor ? metadata.type : 'float32';
}

function toFloat32(tensor: Ort.Tensor): Float32Array {
  if (tensor.type === 'float32') return (tensor.data as Float32Array).slice();
  if (tensor.type === 'float16') {
    const { buffer, byteOffset, length } = tensor.data as unknown as Uint16Array;
    return Float32Array.from(new Uint16Array(buffer, byteOffset, length), fromHalf);
  }
  return Float32Array.from(tensor.data as ArrayLike<number>);
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
