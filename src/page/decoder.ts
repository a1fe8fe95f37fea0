import type { WebImage } from '../web/image.js';
import type { DecodeAnswer, DecodeRequest } from './decoder-protocol.js';

/** An image, and what its user should know of how it was decoded. */
export interface Decoded {
  readonly image: WebImage;
  readonly notes: readonly string[];
}

let worker: Worker | null = null;
let asked = 0;

/** Decodes a file as `ivit infer` does; what its codecs do not know, as the browser does, which is noted. */
export async function decode(file: Blob): Promise<Decoded> {
  const answer = await ask(file);
  if ('image' in answer) {
    const { image } = answer;
    return { image, notes: image.isTurned ? ['Turned upright by its EXIF orientation, as ivit infer does.'] : [] };
  }
  if (!answer.isUnknownFormat) throw new Error(answer.error);
  const image = await decodeByBrowser(file).catch(() => null);
  if (image === null) throw new Error(answer.error);
  const note =
    'Decoded by the browser, for ivit has no codec for it here: its pixels, and the digest, may differ from those ' +
    'of the command line.';
  return { image, notes: [note] };
}

function ask(file: Blob): Promise<DecodeAnswer> {
  const id = ++asked;
  worker ??= new Worker(new URL('./page-decoder.js', import.meta.url), { type: 'module' });
  const asking = worker;
  return new Promise((resolve, reject) => {
    const onMessage = ({ data }: MessageEvent<DecodeAnswer>): void => {
      if (data.id !== id) return;
      asking.removeEventListener('message', onMessage);
      resolve(data);
    };
    asking.addEventListener('message', onMessage);
    asking.addEventListener('error', () => reject(new Error('The decoder did not start')), { once: true });
    asking.postMessage({ id, file } satisfies DecodeRequest);
  });
}

async function decodeByBrowser(file: Blob): Promise<WebImage> {
  const bitmap = await createImageBitmap(file, { premultiplyAlpha: 'none', colorSpaceConversion: 'none' });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d')!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { data: context.getImageData(0, 0, width, height).data, width, height };
}
