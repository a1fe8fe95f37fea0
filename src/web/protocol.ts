/** What a page and its workers say to each other. */
import type { InputErrorCode } from '../errors.js';
import type { Snapshot } from '../engine/wasm.js';
import type { WasmIsa } from '../engine/wasm-module.js';
import type { ImageMap } from '../explain/image-map.js';
import type { PixelImage } from '../images/image.js';
import type { OpDescription } from '../program/describe.js';
import type { StoredModel } from '../program/model.js';
import type { Program } from '../program/types.js';

/** What is known of a loaded model. */
export interface ModelInfo extends Omit<StoredModel, 'program'> {
  readonly input: Program['input'];
  readonly formatVersion: number;
  /** Of its file. */
  readonly bytes: number;
  /** Layers in the order in which they run, as `ivit inspect` shows them. */
  readonly layers: readonly OpDescription[];
  /** The instruction set that runs: `relaxed-dot` or `simd128`. */
  readonly isa: string;
  /** Attention reaches over all of the image, so that `attention` tells where the model looked. */
  readonly hasAttention: boolean;
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
  /** Of the worker that has loaded the model. */
  attention: { readonly asks: Source; readonly gives: readonly ImageMap[] | null };
}

export type RequestKind = keyof Requests;

export interface Request<K extends RequestKind = RequestKind> {
  readonly kind: K;
  readonly ask: Requests[K]['asks'];
}

export type Answer =
  | { readonly value: Requests[RequestKind]['gives'] }
  | { readonly error: { readonly name: string; readonly message: string; readonly code?: InputErrorCode } };
