/** What a page and its workers say to each other. */
import type { Snapshot } from '../engine/wasm.js';
import type { WasmIsa } from '../engine/wasm-module.js';
import type { PixelImage } from '../images/image.js';
import type { ResizeRecipe } from '../images/preprocess/recipe.js';
import type { ModelOutput } from '../metrics/output.js';

/** What is known of a loaded model. */
export interface ModelInfo {
  readonly input: { readonly height: number; readonly width: number; readonly channels: number };
  readonly preprocess: ResizeRecipe;
  readonly outputs: readonly ModelOutput[];
  readonly labels: readonly string[] | null;
  /** Real value of one unit of the output, a decimal number. */
  readonly logitScale: string;
  /** `sha256:` and the hash of the file's content. */
  readonly hash: string;
  /** Layers in the order in which they run. */
  readonly layers: readonly LayerInfo[];
  /** The instruction set that runs: `relaxed-dot` or `simd128`. */
  readonly isa: string;
}

export interface LayerInfo {
  readonly name: string;
  readonly op: string;
  readonly rows: number;
  readonly cols: number;
  readonly type: string;
}

/** An image for the network: of any size, or `pixels` that are prepared. */
export type Source = { readonly image: PixelImage } | { readonly pixels: Uint8Array };

/** What a worker is asked, and what it answers. */
export interface Requests {
  load: {
    readonly asks: {
      readonly bytes: Uint8Array;
      /** Where the kernels lie. */
      readonly wasm: Readonly<Record<WasmIsa, string>>;
      readonly maxMemory?: number;
      /** Workers that will be given a copy; above 0, memory can be shared. */
      readonly copies: number;
    };
    readonly gives: { readonly info: ModelInfo; readonly snapshot: Snapshot | null };
  };
  attach: { readonly asks: { readonly snapshot: Snapshot; readonly info: ModelInfo }; readonly gives: null };
  prepare: { readonly asks: { readonly image: PixelImage }; readonly gives: Uint8Array };
  run: { readonly asks: Source; readonly gives: Int32Array };
}

export type RequestKind = keyof Requests;

export interface Request<K extends RequestKind = RequestKind> {
  readonly kind: K;
  readonly ask: Requests[K]['asks'];
}

export type Answer =
  | { readonly value: Requests[RequestKind]['gives'] }
  | { readonly error: { readonly name: string; readonly message: string } };
