/** Finds image files in folders. */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../errors.js';
import { nearFile } from '../../near-file.js';
import type { UnreadImages } from './unread.js';

/** Extensions taken for images; a file whose format proves unknown is then skipped by name, not overlooked. */
const IMAGE = /\.(jpe?g|jpe|jfif|png|webp|tiff?|gif|avif|bmp|dib|p[abgnp]m|npy)$/i;
/** Folders that archivers and editors leave, never classes. */
const LEFTOVER = /^(\.|__MACOSX$|@eaDir$)/;

export function isImageName(name: string): boolean {
  return IMAGE.test(name);
}

/**
 * All images below a folder, in the order of their paths; hidden folders and files are left out.
 *
 * @param unread counts images that are not decoded
 */
export async function imagesBelow(folder: string, unread?: UnreadImages): Promise<string[]> {
  const images: string[] = [];
  await addImages(folder, { images, unread, above: [] });
  return images;
}

interface Walk {
  readonly images: string[];
  readonly unread: UnreadImages | undefined;
  /** The folders on the way to this one: a link back to one of them is not followed. */
  readonly above: readonly string[];
}

async function addImages(folder: string, { images, unread, above }: Walk): Promise<void> {
  let real: string | undefined;
  for (const entry of await entriesOf(folder)) {
    const file = path.join(folder, entry.name);
    if (LEFTOVER.test(entry.name)) continue;
    if (await leadsToFolder(folder, entry)) {
      real ??= await realpath(folder);
      const target = entry.isSymbolicLink() ? await realpath(file) : null;
      const isAbove = target !== null && (above.includes(target) || `${real}${path.sep}`.startsWith(target + path.sep));
      if (!isAbove) await addImages(file, { images, unread, above: [...above, real] });
    } else if (isImageName(entry.name)) images.push(file);
    else unread?.add(entry.name);
  }
}

/** Whether an entry is a folder, or a link to one. */
async function leadsToFolder(folder: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return (await stat(path.join(folder, entry.name)).catch(() => undefined))?.isDirectory() ?? false;
}

/**
 * What a folder holds, in name order.
 *
 * @throws InputError where it may not be looked into
 */
export async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).sort((a, b) => byCodeUnits(a.name, b.name));
  } catch (error) {
    const why = folder.includes('\uFFFD') ? 'its name is not UTF-8' : (error as Error).message;
    throw new InputError(`Cannot look into ${folder}: ${why}`, { cause: error });
  }
}

/** Names of the folders in a folder, links to folders too, in name order. */
export async function subfolders(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entriesOf(folder))
    if (!LEFTOVER.test(entry.name) && (await leadsToFolder(folder, entry))) names.push(entry.name);
  return names.sort(byCodeUnits);
}

/** Names of the links in a folder that lead nowhere, in name order. */
export async function brokenLinks(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entriesOf(folder)) {
    if (!entry.isSymbolicLink()) continue;
    if ((await stat(path.join(folder, entry.name)).catch(() => undefined)) === undefined) names.push(entry.name);
  }
  return names;
}

/** The same order on every machine, and Python's for all but rare characters; never the locale's. */
export function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function within(folder: string, file: string): string {
  return path.isAbsolute(file) ? file : path.join(folder, file);
}

export async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isFile() ?? false;
}

/** @throws InputError where there is neither file nor folder, or a device */
export async function isFolder(source: string): Promise<boolean> {
  const info = await stat(source).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
      throw new InputError(`No such file or folder: ${source}${nearFile(source)}`, { cause: error, code: 'NOT_FOUND' });
    throw new InputError(`Cannot open ${source}: ${error.message}`, { cause: error });
  });
  if (!info.isDirectory() && !info.isFile()) throw new InputError(`${source} is neither a folder nor a regular file`);
  return info.isDirectory();
}

/** The name, its extension in small letters. */
const nameKey = (name: string): string => name.replace(IMAGE, (extension) => extension.toLowerCase());

/** Finds the images that a list means, which may leave out their folder or extension. */
export class ImageFinder {
  private byName: Map<string, string | 'ambiguous'> | undefined;

  constructor(private readonly folder: string) {}

  /** The image's path; undefined where there is none, or several of the name. */
  async find(name: string): Promise<string | undefined> {
    const direct = within(this.folder, name);
    if (await isFile(direct)) return direct;
    this.byName ??= await this.index();
    // A path of another machine, and an extension in other letters, still name the image.
    const parts = nameKey(path.posix.normalize(name.replaceAll('\\', '/'))).split('/');
    for (const i of path.isAbsolute(name) ? parts.keys() : [0]) {
      const found = this.byName.get(parts.slice(i).join('/'));
      if (found !== undefined) return found === 'ambiguous' ? undefined : found;
    }
    return undefined;
  }

  /** Each image below the folder under the ends of its path: `images/cat.jpg`, `cat.jpg`, `cat`. */
  private async index(): Promise<Map<string, string | 'ambiguous'>> {
    const byName = new Map<string, string | 'ambiguous'>();
    for (const file of await imagesBelow(this.folder)) {
      const parts = path.relative(this.folder, file).split(path.sep);
      for (const [i] of parts.entries()) {
        const end = parts.slice(i).join('/');
        for (const name of [nameKey(end), end.replace(IMAGE, '')])
          byName.set(name, byName.has(name) ? 'ambiguous' : file);
      }
    }
    return byName;
  }
}
