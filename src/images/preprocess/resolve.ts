/**
 * Finds out how a model wants its images: from flags, the files beside it, its ONNX metadata, or ImageNet's defaults.
 */
import path from 'node:path';
import * as v from 'valibot';
import { InputError, UsageError } from '../../errors.js';
import { readBeside } from './beside.js';
import type { JsonFile } from './beside.js';
import { ImageSize, keepCenter, toSize } from './findings.js';
import type { Findings } from './findings.js';
import { fromHuggingFace } from './hugging-face.js';
import { describeRecipe } from './recipe.js';
import type { PerChannel, PreprocessRecipe, Size } from './recipe.js';
import { PRESETS, averaged } from './presets.js';
import { fromMetadata, fromOpenClip, fromTimm } from './timm.js';
import type { RecipeFlags } from './flags.js';

/** The model's image input; a height or width that is not fixed is open, and its number is not read. */
export interface ModelInput {
  /** 3 where it is left out. */
  readonly channels?: number;
  readonly height: number;
  readonly width: number;
  readonly fixed: { readonly height: boolean; readonly width: boolean };
}

export interface RecipeSources {
  /** Beside this file `preprocessor_config.json` and `config.json` are looked for. */
  readonly modelPath: string;
  readonly modelInput: ModelInput;
  /** The ONNX file's `metadata_props`. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly flags?: RecipeFlags;
}

export interface ResolvedRecipe {
  readonly recipe: PreprocessRecipe;
  /** What was assumed or replaced, for the user to read. */
  readonly notices: string[];
  /** The parts that no source gives, for which ImageNet's defaults stand. */
  readonly assumed: readonly string[];
}

/**
 * Settles every part of the recipe from the first source that has it: flags, `preprocessor_config.json`, `config.json`,
 * ONNX metadata, ImageNet's defaults. The size is the model's where that is fixed; a resize that a file gives for
 * another size is scaled to it. Notices say what was assumed, for the user to read.
 *
 * @throws InputError for a file or metadata whose values make no sense
 * @throws UsageError for a `--size` that the model's fixed input contradicts
 */
export async function resolveRecipe(sources: RecipeSources): Promise<ResolvedRecipe> {
  const { modelPath, modelInput, metadata = {}, flags = {} } = sources;
  const notices: string[] = [];
  const found = [fromFlags(flags), ...(await fromFiles(modelPath, notices)), fromMetadata(metadata, notices)];

  const size = settleSize(modelInput, flags, found, notices);
  const used = new Set<string>();
  const assumed: string[] = [];
  const settle = <K extends Part>(part: K, name?: string): NonNullable<Findings[K]> => {
    const source = found.find((one) => one[part] !== undefined);
    if (source !== undefined) used.add(source.source);
    else if (name !== undefined) assumed.push(name);
    return (source ?? IMAGENET)[part]!;
  };
  const { channels = 3 } = modelInput;
  const forChannels = (part: 'mean' | 'std', values: PerChannel): PerChannel => {
    if (assumed.includes(part) || (flags[part] === undefined && flags.preset !== undefined))
      return averaged(values, channels);
    const source = flags[part] !== undefined ? `--${part}` : found.find((one) => one[part] !== undefined)!.source;
    return spread(values, channels, { part, source });
  };
  const settled = {
    size,
    resize: settle('resize', 'resize')(size),
    interpolation: settle('interpolation', 'interpolation'),
    mean: forChannels('mean', settle('mean', 'mean')),
    std: forChannels('std', settle('std', 'std')),
    scale: settle('scale'),
  };
  if (assumed.length > 0) used.add(IMAGENET.source);
  const recipe = { ...settled, source: [...used].join(', ') };
  checkNormalization(recipe, flags);
  if (assumed.length > 0) notices.push(assumption(recipe, assumed));
  return { recipe, notices, assumed };
}

type Part = Exclude<keyof Findings, 'source' | 'size'>;

const IMAGENET = {
  source: "ImageNet's defaults",
  size: { height: 224, width: 224 },
  resize: keepCenter(0.875),
  interpolation: 'bicubic',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  scale: 1 / 255,
} as const satisfies Findings;

/** One number stands for all channels, and so do three equal ones of RGB. */
function spread(
  values: PerChannel,
  channels: number,
  { part, source }: { readonly part: string; readonly source: string },
): PerChannel {
  if (values.length === channels) return values;
  const isOne = values.length === 1 || (values.length === 3 && new Set(values).size === 1);
  if (isOne) return Array.from({ length: channels }, () => values[0]!);
  const message =
    `${source === `--${part}` ? source : `${part} in ${source}`} has ${values.length} numbers, and the model takes ` +
    `images of ${channels} ${channels === 1 ? 'channel' : 'channels'}`;
  if (source === `--${part}`) throw new UsageError(`${message}: give one for each channel`);
  throw new InputError(`${message}: give --${part} with one for each channel`);
}

/** Means and deviations of pixels of 0 to 1 lie far below this; those of pixels of 0 to 255 do not. */
const MOST = 10;

function checkNormalization({ mean, std, scale, source }: PreprocessRecipe, flags: RecipeFlags): void {
  for (const [name, values, given] of [
    ['mean', mean, flags.mean],
    ['std', std, flags.std],
  ] as const) {
    if (values.every((value) => Math.abs(value / (255 * scale)) <= MOST)) continue;
    const proposed = values.map((value) => Number((value / 255).toPrecision(3))).join(given ? ',' : ' ');
    const what = `a ${name} of ${values.join(' ')} is for pixels of 0 to 255, and pixels here are scaled to 0 to 1`;
    if (given)
      throw new UsageError(`--${name} ${values.join(',')} is not possible: ${what}. Give --${name} ${proposed}`);
    throw new InputError(`${source}: ${what}. It should be ${proposed}, or do_rescale be false; or give --${name}`);
  }
}

export function assumption(recipe: PreprocessRecipe, assumed: readonly string[]): string {
  const all = assumed.length === 4;
  const subject = all
    ? 'No pre-processing was found for this model'
    : `Nothing says this model's ${assumed.join(', ')}`;
  const { mean, std } = recipe;
  return (
    `${subject}; using ImageNet's defaults: ${describeRecipe(recipe)}, mean ${mean.join(' ')}, std ${std.join(' ')}. ` +
    'If the model was trained otherwise, give --crop-pct or --resize, --interpolation, --mean and --std.'
  );
}

function settleSize(input: ModelInput, flags: RecipeFlags, found: readonly Findings[], notices: string[]): Size {
  const source = found.find((one) => one.size !== undefined) ?? IMAGENET;
  const wanted = source.size!;
  const size = {
    height: input.fixed.height ? input.height : wanted.height,
    width: input.fixed.width ? input.width : wanted.width,
  };
  if (size.height === wanted.height && size.width === wanted.width) {
    if (source === IMAGENET && !(input.fixed.height && input.fixed.width)) {
      notices.push(
        'The model leaves its input size open and nothing else says it; using 224×224. Give --size to change it.',
      );
    }
    return size;
  }
  const fixed = `${size.height}×${size.width}`;
  const other = `${wanted.height}×${wanted.width}`;
  if (flags.size !== undefined)
    throw new UsageError(`--size ${other} is not possible: the model's input is fixed at ${fixed}`);
  if (source !== IMAGENET)
    notices.push(`${source.source} is for ${other}, the model's input is ${fixed}: resizing in proportion.`);
  return size;
}

function fromFlags({ cropPct, resize, preset, ...flags }: RecipeFlags): Findings {
  const rule = cropPct !== undefined ? keepCenter(cropPct) : resize && (() => resize);
  const named = preset !== undefined && { ...PRESETS[preset], scale: 1 / 255 };
  return { source: 'flags', ...named, ...flags, resize: rule };
}

/** What the files beside the model say, in the order in which they count. */
async function fromFiles(modelPath: string, notices: string[]): Promise<Findings[]> {
  const config = await readBeside(modelPath, 'config.json');
  const { pretrained_cfg: timm, architecture, image_size: imageSize, model_type: modelType } = config?.content ?? {};
  const findings: Findings[] = [];
  const size = v.safeParse(ImageSize, imageSize);
  const ownSize = size.success ? { source: path.basename(config!.path), size: toSize(size.output) } : undefined;
  const processor = await readProcessor(modelPath);
  if (processor) {
    const { pretrained_cfg: wrapped, size: given, crop_size: crop } = processor.content;
    // The model's own size goes before that of a processor type's defaults.
    if (given == null && crop == null && ownSize) findings.push(ownSize);
    findings.push(
      isObject(wrapped)
        ? fromTimm(processor.path, wrapped, notices)
        : fromHuggingFace(processor.path, processor.content, modelType, notices),
    );
  }
  const openClip = await readBeside(modelPath, 'open_clip_config.json');
  if (openClip) findings.push(fromOpenClip(openClip.path, openClip.content, notices));
  if (config) {
    if (isObject(timm)) findings.push(fromTimm(config.path, timm, notices));
    // Older timm repositories have the same keys one level up.
    else if (typeof architecture === 'string') findings.push(fromTimm(config.path, config.content, notices));
    if (ownSize) findings.push(ownSize);
  }
  return findings;
}

/** The image processor's configuration: a file of its own, or a part of the whole processor's. */
async function readProcessor(modelPath: string): Promise<JsonFile | undefined> {
  for (const name of ['preprocessor_config.json', 'feature_extractor_config.json']) {
    const file = await readBeside(modelPath, name);
    if (file) return file;
  }
  const whole = await readBeside(modelPath, 'processor_config.json');
  const part = whole?.content['image_processor'] ?? whole?.content['feature_extractor'];
  return whole && isObject(part) ? { path: whole.path, content: part } : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
