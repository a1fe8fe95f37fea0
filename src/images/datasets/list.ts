/** Lists of images without classes: to calibrate on. */
import path from 'node:path';
import { InputError } from '../../errors.js';
import { nearFile } from '../../near-file.js';
import { ImageFinder, imagesBelow, isFolder, isImageName } from './files.js';
import { UnreadImages } from './unread.js';
import { readLines, splitsOf } from './lines.js';

/**
 * The images of a folder and all its subfolders in path order, those that a text file lists (one path per line,
 * relative to the file; a class after the path is ignored), or the one that `source` is.
 *
 * @param unread counts images that are not decoded
 * @throws InputError when there is nothing
 */
export async function listImages(source: string, unread = new UnreadImages()): Promise<string[]> {
  if (await isFolder(source)) {
    const images = await imagesBelow(source, unread);
    if (images.length > 0) return images;
    const left = unread.notice(source);
    throw new InputError(
      `No image in ${source} or its subfolders${left === null ? '' : ` that can be decoded. ${left}`}`,
    );
  }
  if (isImageName(source)) return [source];
  const finder = new ImageFinder(path.dirname(source));
  const listed: string[] = [];
  for (const { text, line } of await readLines(source)) {
    const image = await listedImage(text, finder);
    if (image !== undefined) listed.push(image);
    // The first line of a table names its columns.
    else if (line > 1 || !/\.[ct]sv$/i.test(source))
      throw new InputError(
        `${source}, line ${line}: no such image: ${text} (paths count from the folder of the list)${nearFile(text)}`,
        { code: 'NOT_FOUND' },
      );
  }
  if (listed.length === 0) throw new InputError(`The list ${source} names no image: write a path on each line`);
  return listed;
}

/** The image that a line names: the whole line, or what is left of it once a class is taken off its end. */
async function listedImage(text: string, finder: ImageFinder): Promise<string | undefined> {
  const shorter = splitsOf(text).map((split) => split.path);
  for (const candidate of [text, ...shorter.reverse()]) {
    const file = await finder.find(candidate);
    if (file !== undefined) return file;
  }
  return undefined;
}
