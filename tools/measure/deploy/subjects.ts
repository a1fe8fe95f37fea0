/** The models that every target runs, with the pixels they are fed. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { decodeImage } from '../../../src/images/decode.js';
import { applyRecipe } from '../../../src/images/preprocess/recipe.js';
import { importModel } from '../../../src/importer/index.js';
import { loadModel } from '../../../src/program/file.js';
import { encodeModel, decodeModel, type StoredModel } from '../../../src/program/model.js';
import { DEFAULT_OPTIONS, quantizeGraph } from '../../../src/quantize/index.js';
import { SCENES, SCENES_MODEL } from '../../../test/scenes.js';
import { zooImages, zooModel, zooNames } from '../../../test/zoo.js';
import { modernModel, modernNames } from '../../../test/zoo2.js';

export interface Subject {
  readonly name: string;
  readonly model: StoredModel;
  /** What the network reads: u8 [height, width, channels] of each image. */
  readonly images: readonly Uint8Array[];
}

const isImage = (name: string): boolean => /\.(jpe?g|png)$/i.test(name);

/** The first images below a folder, by path. */
function imagesBelow(folder: string, count: number): string[] {
  const names = readdirSync(folder, { recursive: true }) as string[];
  const found = names.filter(isImage).sort().slice(0, count);
  if (found.length < count) throw new Error(`${folder} has ${found.length} images, not ${count}`);
  return found.map((name) => path.join(folder, name));
}

/** A `.ivit` file with images of any size. */
export async function subjectOf(name: string, file: string, folder: string, count: number): Promise<Subject> {
  const model = await loadModel(file);
  const images: Uint8Array[] = [];
  for (const image of imagesBelow(folder, count))
    images.push(applyRecipe(await decodeImage(image), model.preprocess, model.program.input.channels));
  return { name, model, images };
}

export const fixture = (count: number): Promise<Subject> =>
  subjectOf('scenes', SCENES_MODEL, path.join(SCENES, 'test'), count);

/** What the zoos say of a model, in one form. */
interface Float {
  readonly path: string;
  readonly images: readonly Uint8Array[];
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/** Of the models whose file leaves the size open. */
const OPEN_SIZES: Readonly<Record<string, readonly [number, number]>> = { alldyn_ts17: [32, 32] };

async function floatOf(name: string): Promise<Float> {
  if (zooNames.includes(name)) {
    const model = zooModel(name);
    const images = await zooImages(model);
    return { path: model.path, images: images.map(({ pixels }) => pixels), normalization: IMAGENET };
  }
  const model = modernModel(name);
  const channels = model.input.mean.length;
  const isInteger = model.input.dtype === 'uint8';
  const plain = { mean: new Array<number>(channels).fill(0), std: new Array<number>(channels).fill(1) };
  const images = model.cases.map(({ pixels }) => pixels);
  return { path: model.path, images, normalization: isInteger ? plain : model.input };
}

/** Names of models of the zoos: of each family the first, or all of them. */
export function zooSubjects(takes: 'families' | 'all'): string[] {
  const families = new Set<string>();
  const first = [...zooNames, ...modernNames].filter((name) => {
    const family = zooNames.includes(name) ? zooModel(name).family : modernModel(name).family;
    const isNew = !families.has(family);
    families.add(family);
    return isNew;
  });
  return takes === 'all' ? [...zooNames, ...modernNames] : first;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A model of the zoos, quantized with its own images and default options. */
export async function zooSubject(name: string): Promise<Subject> {
  const { path: file, images, normalization } = await floatOf(name);
  const { graph } = await importModel(file, name in OPEN_SIZES ? { size: OPEN_SIZES[name] } : {});
  const { program, outputScale } = await quantizeGraph({ graph, images, normalization, options: DEFAULT_OPTIONS });
  const { height, width } = program.input;
  const bytes = encodeModel(
    {
      program,
      preprocess: { size: { height, width }, resize: { mode: 'exact', height, width }, interpolation: 'bilinear' },
      outputs: graph.outputs,
      labels: null,
      logitScale: String(outputScale),
      provenance: {
        tool: 'npm run deploy',
        source: { name: path.basename(file), sha256: '0'.repeat(64), bytes: 0, parameters: 0 },
        normalization: {
          mean: normalization.mean.map(String),
          std: normalization.std.map(String),
          scale: '1',
          source: 'zoo',
        },
        settings: {},
        calibration: { images: images.length, source: 'zoo' },
      },
    },
    sha256,
  );
  return { name, model: decodeModel(bytes, sha256), images };
}

/** The bytes of a subject's `.ivit` file. */
export const fileOf = ({ model }: Subject): Uint8Array => encodeModel(model, sha256);
