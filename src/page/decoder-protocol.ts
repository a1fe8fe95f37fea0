/** What the page and its decoding worker say to each other. */
import type { DecodedImage } from '../web/decode.js';

export interface DecodeRequest {
  readonly id: number;
  readonly file: Blob;
}

export type DecodeAnswer = { readonly id: number } & (
  { readonly image: DecodedImage } | { readonly error: string; readonly isUnknownFormat: boolean }
);
