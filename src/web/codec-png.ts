/** PNG, decoded by Rust's png. */
import decode, { init } from '@jsquash/png/decode.js';
import type { Decoder } from './orientation.js';

export async function decoderOf(module: WebAssembly.Module): Promise<Decoder> {
  await init(module);
  return decode;
}
