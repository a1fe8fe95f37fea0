/** JPEG, decoded by mozjpeg. */
import decode, { init } from '@jsquash/jpeg/decode.js';
import type { Decoder } from './orientation.js';

/** What libjpeg says where a file ends too early; it then makes up the rest of the picture. */
const TRUNCATED = /premature end/i;

export async function decoderOf(module: WebAssembly.Module): Promise<Decoder> {
  const said: string[] = [];
  await init(module, { printErr: (text) => said.push(text) });
  return async (bytes) => {
    said.length = 0;
    const image = await decode(bytes).catch((cause: unknown) => {
      throw new Error(said[0] ?? 'it is damaged', { cause });
    });
    if (said.some((text) => TRUNCATED.test(text))) throw new Error('it is truncated');
    return image;
  };
}
