/** Decodes images apart from the page, so that the page stays awake. */
import { UnknownFormatError, decodeImage } from '../web/decode.js';
import type { DecodeAnswer, DecodeRequest } from './decoder-protocol.js';

addEventListener('message', async ({ data: { id, file } }: MessageEvent<DecodeRequest>) => {
  const answer = (message: DecodeAnswer, transfer: Transferable[] = []): void =>
    (self as unknown as Worker).postMessage(message, transfer);
  try {
    const image = await decodeImage(file, { exif: 'apply' });
    answer({ id, image }, [image.data.buffer as ArrayBuffer]);
  } catch (error) {
    answer({ id, error: (error as Error).message, isUnknownFormat: error instanceof UnknownFormatError });
  }
});
