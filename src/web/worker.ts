/** Loads and runs a model apart from the page, so that the page stays awake. One request is answered at a time. */
import { InputError } from '../errors.js';
import { compileFastest } from '../engine/wasm-module.js';
import { WasmProgram, createWasmRunner } from '../engine/wasm.js';
import type { Snapshot } from '../engine/wasm.js';
import { workOfProgram } from '../engine/plan/index.js';
import { imageData } from '../engine/values.js';
import { clock } from '../engine/clock.js';
import type { WasmExports } from '../engine/wasm-exports.js';
import { attentionMaps, tokenLayout, type ImageMap } from '../explain/index.js';
import { applyRecipe } from '../images/preprocess/recipe.js';
import { describeProgram } from '../program/describe.js';
import { decodeModel } from '../program/model.js';
import type { StoredModel } from '../program/model.js';
import type { Answer, ModelInfo, Request, RequestKind, Requests, Source } from './protocol.js';
import { sha256 } from './sha256.js';
import { fetchBytes } from './source.js';

/** What a worker has of the page's world. */
const scope = globalThis as unknown as {
  onmessage: (event: { readonly data: Request }) => void;
  postMessage(message: Answer, transfer: readonly ArrayBufferLike[]): void;
};

/** The model that this worker runs. */
interface Loaded {
  readonly info: ModelInfo;
  run(pixels: Uint8Array): Int32Array;
  /** Copies have none. */
  attention?(pixels: Uint8Array): ImageMap[] | null;
}

let loaded: Loaded | null = null;

const handlers: { [K in RequestKind]: (ask: Requests[K]['asks']) => Promise<Requests[K]['gives']> } = {
  async load({ bytes, wasm, maxMemory, copies }) {
    const compiling = compileFastest(async (isa) => fetchBytes(wasm[isa]));
    compiling.catch(() => undefined); // what is wrong with the file is told first
    const model = decodeModel(bytes, sha256, { maxMemory });
    const module = await compiling;
    const program = new WasmProgram(module, workOfProgram(model.program), { maxMemory, workers: copies });
    const layout = tokenLayout(model.program);
    const info = infoOf(model, { bytes: bytes.length, isa: program.isa, hasAttention: layout !== null });
    const attention = (pixels: Uint8Array) =>
      layout === null ? null : attentionMaps(model.program, layout, createWasmRunner(module), pixels);
    loaded = { info, run: (pixels) => program.run([imageData(pixels)]).data as Int32Array, attention };
    return { info, snapshot: copies > 0 ? program.snapshot() : null };
  },
  async attach({ snapshot, info }) {
    loaded = { info, run: attach(snapshot) };
    return null;
  },
  prepare: async ({ image }) => prepare(current(), { image }),
  async run(source) {
    const model = current();
    return model.run(prepare(model, source));
  },
  async attention(source) {
    const model = current();
    return model.attention?.(prepare(model, source)) ?? null;
  },
};

scope.onmessage = async ({ data: { kind, ask } }) => {
  try {
    const value = await (handlers[kind] as (ask: unknown) => Promise<Requests[RequestKind]['gives']>)(ask);
    const isOwn = value instanceof Int32Array || value instanceof Uint8Array;
    scope.postMessage({ value }, isOwn ? [value.buffer] : []);
  } catch (error) {
    const { name, message } = error as Error;
    const code = error instanceof InputError ? error.code : undefined;
    scope.postMessage({ error: { name, message, code } }, []);
  }
};

function current(): Loaded {
  if (loaded === null) throw new Error('No model is loaded');
  return loaded;
}

function prepare({ info }: Loaded, source: Source): Uint8Array {
  return 'pixels' in source ? source.pixels : applyRecipe(source.image, info.preprocess, info.input.channels);
}

/** Runs a copy of a loaded program: the instance's memory holds all of it, so it is copied and nothing loaded again. */
function attach({ module, memory, context, input, output, outputLength }: Snapshot): Loaded['run'] {
  const { exports } = new WebAssembly.Instance(module, { host: { clock } });
  const kernels = exports as unknown as WasmExports;
  const missing = memory.byteLength - kernels.memory.buffer.byteLength;
  if (missing > 0) kernels.memory.grow(missing / 65536);
  new Uint8Array(kernels.memory.buffer).set(new Uint8Array(memory));
  return (pixels) => {
    new Uint8Array(kernels.memory.buffer).set(pixels, input);
    kernels.ivit_context_begin(context);
    kernels.ivit_context_run(context, 0);
    return new Int32Array(kernels.memory.buffer, output, outputLength).slice();
  };
}

function infoOf({ program, ...rest }: StoredModel, own: Pick<ModelInfo, 'bytes' | 'isa' | 'hasAttention'>): ModelInfo {
  return { ...rest, ...own, input: program.input, layers: describeProgram(program) };
}
