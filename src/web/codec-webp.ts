/** WebP, decoded by libwebp. */
import decode, { init } from '@jsquash/webp/decode.js';
import type { Decoder } from './orientation.js';

export async function decoderOf(module: WebAssembly.Module): Promise<Decoder> {
  await init(module);
  return decode;
}
