import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { requireRegularFile } from '../regular-file.js';

/** SHA-256 of a file, as 64 hexadecimal digits. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  requireRegularFile(file);
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Says which images these are: how many, and SHA-256 of their pixels. */
export function digestOfImages(images: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const image of images) hash.update(image);
  return `${images.length}, ${hash.digest('hex')}`;
}
