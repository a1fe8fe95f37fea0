/**
 * WebDataset archives: tar files, packed by gzip or not, in which the files of one image lie side by side under one key
 * (`0001.jpg`, `0001.cls`). One archive, a folder of them, or a pattern (`val-{000000..000049}.tar`).
 */
import { InputError } from '../../errors.js';
import { openBytes } from './bytes.js';
import { classReader } from './classes.js';
import { isImageName } from './files.js';
import { containersIn } from './source.js';
import type { DatasetContent, DatasetItem, DatasetKind, DatasetOptions, ReadImages, Source } from './source.js';
import { tarEntries } from './tar-entries.js';
import type { TarEntry } from './tar-entries.js';

const NAME = /\.(tar|tar\.gz|tgz)$/i;
/** No image is larger, as a file. */
const MAX_IMAGE_BYTES = 2 ** 28;
const MAX_CLASS_BYTES = 1024;

/** Where an image's bytes are; or why there are none to be used. */
type Place = { readonly file: string; readonly offset: number; readonly size: number } | { readonly problem: string };

interface Sample {
  readonly key: string;
  readonly images: TarEntry[];
  /** Texts of its .cls files. */
  readonly classes: string[];
}

export const webDataset: DatasetKind = {
  wanted: '.tar files of images and .cls files of one name (WebDataset)',
  holdsImages: true,

  find(source: Source): Promise<readonly string[] | undefined> {
    return Promise.resolve(containersIn(source, NAME));
  },

  async read(files: readonly string[], options: DatasetOptions): Promise<DatasetContent> {
    const list = new SampleList(options);
    for (const file of files) await listArchive(file, list);
    return { items: list.items, notices: list.notices(), read: readerOf(list.places) };
  },
};

/** Items and places of all samples, and what is to be said about those that are none. */
class SampleList {
  readonly items: DatasetItem[] = [];
  readonly places: Place[] = [];
  private readonly readClass;
  private readonly withoutEnd: string[] = [];
  private withoutImage = 0;
  private firstWithoutImage = '';
  private several = 0;
  private firstOfSeveral = '';
  private links = 0;
  private firstLink = '';

  constructor(private readonly options: DatasetOptions) {
    this.readClass = classReader(options);
  }

  add(file: string, { key, images: all, classes }: Sample): void {
    // Beside an image, an array is something else: an embedding, a mask.
    const photographs = all.filter(({ name }) => !/\.npy$/i.test(name));
    const images = photographs.length > 0 ? photographs : all;
    if (images.length === 0) {
      if (this.withoutImage++ === 0) this.firstWithoutImage = `${file}/${key}`;
      return;
    }
    if (images.length > 1 && this.several++ === 0) this.firstOfSeveral = `${file}/${key}`;
    const [image] = images;
    const path = `${file}/${image!.name}`;
    this.items.push({ path, label: this.labelOf(classes, `${file}/${key}.cls`) });
    this.places.push(placeOf(file, path, images));
  }

  addLink(path: string): void {
    if (this.links++ === 0) this.firstLink = path;
  }

  endedEarly(file: string): void {
    this.withoutEnd.push(file);
  }

  notices(): string[] {
    const { withoutImage, withoutEnd, links, several } = this;
    const has = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;
    const told = [
      links > 0 &&
        `WARNING: ${has(links, 'file is a link and holds', 'files are links and hold')} nothing, as ` +
          `${this.firstLink}: make the archive again with tar --dereference --hard-dereference.`,
      several > 0 &&
        `WARNING: ${has(several, 'key has', 'keys have')} several images, as ${this.firstOfSeveral}, and none ` +
          "of them counts: a key is a file's name up to its first dot.",
      withoutImage > 0 && `${has(withoutImage, 'sample has', 'samples have')} no image, as ${this.firstWithoutImage}`,
      ...withoutEnd.map((file) => `WARNING: ${file} has no mark of its end: it may be cut off.`),
    ];
    return told.filter((one) => one !== false);
  }

  private labelOf(classes: readonly string[], where: string): number | null {
    const [text] = classes;
    if (this.options.classes === 'ignored' || text === undefined || text === '') return null;
    return this.readClass(text, where);
  }
}

function placeOf(file: string, path: string, images: readonly TarEntry[]): Place {
  const [{ offset, size }] = images as [TarEntry];
  if (images.length > 1) return { problem: `${path} is one of ${images.length} images of its key` };
  if (size > MAX_IMAGE_BYTES) return { problem: `${path} has ${size} bytes: too many for an image` };
  return { file, offset, size };
}

async function listArchive(file: string, list: SampleList): Promise<void> {
  const reader = await openBytes(file);
  const keys = new Set<string>();
  let sample: Sample | undefined;
  const close = (): void => {
    if (sample !== undefined) list.add(file, sample);
  };
  try {
    const entries = tarEntries(reader, file);
    let step = await entries.next();
    for (; step.done !== true; step = await entries.next()) {
      const parts = splitName(step.value.name);
      if (parts === null) continue;
      const { key, extension } = parts;
      const isImage = isImageName(step.value.name);
      if (step.value.isLink) {
        if (isImage || extension === 'cls') list.addLink(`${file}/${step.value.name}`);
        continue;
      }
      if (key !== sample?.key) {
        close();
        if (keys.has(key))
          throw new InputError(
            `${file}: the key ${key} comes twice; the files of one image must lie side by side (tar --sort=name), ` +
              'and keys differ',
          );
        keys.add(key);
        sample = { key, images: [], classes: [] };
      }
      if (isImage) sample.images.push(step.value);
      else if (extension === 'cls') {
        if (sample.classes.length > 0) throw new InputError(`${file}: ${key}.cls is there twice`);
        if (step.value.size > MAX_CLASS_BYTES)
          throw new InputError(`${file}: ${step.value.name} has ${step.value.size} bytes: too many for a class`);
        const bytes = await reader.read(step.value.size);
        sample.classes.push(Buffer.from(bytes).toString('utf8').trim());
      }
    }
    close();
    if (!step.value) list.endedEarly(file);
  } finally {
    await reader.close();
  }
}

/** `train/0001.seg.png` as `train/0001` and `seg.png`: the first dot of the name parts them. Null for hidden files. */
function splitName(name: string): { key: string; extension: string } | null {
  const match = /^((?:.*\/)?[^/.][^/.]*)\.([^/]+)$/s.exec(name);
  return match && { key: match[1]!, extension: match[2]!.toLowerCase() };
}

function readerOf(places: readonly Place[]): ReadImages {
  return async function* (indices) {
    let reader: { readonly file: string; readonly bytes: Awaited<ReturnType<typeof openBytes>> } | undefined;
    try {
      for (const index of indices) {
        const place = places[index]!;
        if ('problem' in place) {
          yield new InputError(place.problem);
          continue;
        }
        if (reader?.file !== place.file || reader.bytes.position > place.offset) {
          await reader?.bytes.close();
          reader = { file: place.file, bytes: await openBytes(place.file) };
        }
        await reader.bytes.skip(place.offset - reader.bytes.position);
        const bytes = await reader.bytes.read(place.size);
        if (bytes.length < place.size) throw new InputError(`${place.file} was changed while it was read`);
        yield bytes;
      }
    } finally {
      await reader?.bytes.close();
    }
  };
}
