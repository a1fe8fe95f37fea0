/** Finds out how a model wants its images: from flags, the files beside it, its ONNX metadata, or ImageNet's defaults. */
import path from 'node:path';
import * as v from 'valibot';
import { InputError, UsageError } from '../../errors.js';
import { readBeside } from './beside.js';
import { describeRecipe } from './recipe.js';
import type { PreprocessRecipe, ResizeRule, Rgb, Size } from './recipe.js';
import type { RecipeFlags } from './flags.js';
import type { Interpolation } from '../resample.js';

/** The model's image input; a height or width that is not fixed is open, and its number is not read. */
export interface ModelInput {
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

/**
 * Settles every part of the recipe from the first source that has it: flags, `preprocessor_config.json`, `config.json`,
 * ONNX metadata, ImageNet's defaults. The size is the model's where that is fixed; a resize that a file gives for another
 * size is scaled to it. Notices say what was assumed, for the user to read.
 *
 * @throws InputError for a file or metadata whose values make no sense
 * @throws UsageError for a `--size` that the model's fixed input contradicts
 */
export async function resolveRecipe(sources: RecipeSources): Promise<{ recipe: PreprocessRecipe; notices: string[] }> {
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
  const settled = {
    size,
    resize: settle('resize', 'resize')(size),
    interpolation: settle('interpolation', 'interpolation'),
    mean: settle('mean', 'mean'),
    std: settle('std', 'std'),
    scale: settle('scale'),
  };
  if (assumed.length > 0) used.add(IMAGENET.source);
  const recipe = { ...settled, source: [...used].join(', ') };
  if (assumed.length > 0) notices.push(assumption(recipe, assumed));
  return { recipe, notices };
}

/** What one source says; the resize rule depends on the input's size, which another source may settle. */
interface Findings {
  readonly source: string;
  readonly size?: Size;
  readonly resize?: (size: Size) => ResizeRule;
  readonly interpolation?: Interpolation;
  readonly mean?: Rgb;
  readonly std?: Rgb;
  readonly scale?: number;
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

function assumption(recipe: PreprocessRecipe, assumed: readonly string[]): string {
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

function fromFlags({ cropPct, resize, ...flags }: RecipeFlags): Findings {
  const rule = cropPct !== undefined ? keepCenter(cropPct) : resize && (() => resize);
  return { source: 'flags', ...flags, resize: rule };
}

async function fromFiles(modelPath: string, notices: string[]): Promise<Findings[]> {
  const findings: Findings[] = [];
  const preprocessor = await readBeside(modelPath, 'preprocessor_config.json');
  if (preprocessor) findings.push(fromHuggingFace(preprocessor.path, preprocessor.content, notices));
  const config = await readBeside(modelPath, 'config.json');
  if (config) {
    const { pretrained_cfg: timm, architecture, image_size: imageSize } = config.content;
    if (typeof timm === 'object' && timm !== null) findings.push(fromTimm(config.path, timm, notices));
    // Older timm repositories have the same keys one level up.
    else if (typeof architecture === 'string') findings.push(fromTimm(config.path, config.content, notices));
    const size = v.safeParse(ImageSize, imageSize);
    if (size.success) findings.push({ source: path.basename(config.path), size: toSize(size.output) });
  }
  return findings;
}

const edge = v.pipe(v.number(), v.integer(), v.minValue(1));
const HeightWidth = v.object({ height: edge, width: edge });
const ImageSize = v.union([edge, v.tuple([edge, edge]), HeightWidth]);
const Mean = v.tuple([v.number(), v.number(), v.number()]);
const positive = v.pipe(v.number(), v.gtValue(0));
const Std = v.tuple([positive, positive, positive]);
const CropPct = v.pipe(v.number(), v.gtValue(0), v.maxValue(2));

function toSize(value: v.InferOutput<typeof ImageSize>): Size {
  if (typeof value === 'number') return { height: value, width: value };
  if (Array.isArray(value)) return { height: value[0], width: value[1] };
  return { height: value.height, width: value.width };
}

/** timm's `pretrained_cfg`; ONNX metadata uses the same names. */
const TimmConfig = v.object({
  input_size: v.nullish(v.union([v.tuple([v.literal(3), edge, edge]), ImageSize])),
  crop_pct: v.nullish(CropPct),
  crop_mode: v.nullish(v.string()),
  interpolation: v.nullish(v.string()),
  mean: v.nullish(Mean),
  std: v.nullish(Std),
});

function fromTimm(file: string, content: object, notices: string[]): Findings {
  const source = path.basename(file);
  const config = check(TimmConfig, content, file);
  const input = config.input_size;
  const pct = config.crop_pct ?? undefined;
  const mode = config.crop_mode ?? 'center';
  if (mode !== 'center' && mode !== 'squash') {
    notices.push(`${source}: crop_mode ${mode} is not supported; the centre crop of the image is used instead.`);
  }
  return {
    source,
    size: input == null ? undefined : toSize(Array.isArray(input) && input.length === 3 ? [input[1], input[2]] : input),
    resize: pct !== undefined ? (mode === 'squash' ? squash(pct) : keepCenter(pct)) : undefined,
    interpolation: interpolationOf(config.interpolation, source, notices),
    mean: config.mean ?? undefined,
    std: config.std ?? undefined,
  };
}

/** The image processors of Hugging Face's transformers. */
const HuggingFaceConfig = v.object({
  image_processor_type: v.nullish(v.string()),
  feature_extractor_type: v.nullish(v.string()),
  do_resize: v.nullish(v.boolean(), true),
  size: v.nullish(v.union([edge, HeightWidth, v.object({ shortest_edge: edge, longest_edge: v.optional(v.null()) })])),
  crop_pct: v.nullish(CropPct),
  do_center_crop: v.nullish(v.boolean()),
  crop_size: v.nullish(v.union([edge, HeightWidth])),
  resample: v.nullish(v.union([v.number(), v.string()])),
  do_rescale: v.nullish(v.boolean(), true),
  rescale_factor: v.nullish(positive),
  do_normalize: v.nullish(v.boolean(), true),
  image_mean: v.nullish(Mean),
  image_std: v.nullish(Std),
  do_flip_channel_order: v.nullish(v.literal(false, 'images in BGR order are not supported')),
});

function fromHuggingFace(file: string, content: object, notices: string[]): Findings {
  const source = path.basename(file);
  const config = check(HuggingFaceConfig, content, file);
  const kind = config.image_processor_type ?? config.feature_extractor_type ?? '';
  // A bare number is the shorter edge to these processors, and both edges to all others.
  const isShortest = /CLIP|Bit|ConvNext|Chinese/i.test(kind);
  const shortest = typeof config.size === 'number' && isShortest ? config.size : shortestEdge(config.size);
  const exact = shortest === undefined && config.size != null ? toSize(config.size as number | Size) : undefined;
  const crops = config.do_center_crop ?? config.crop_size != null;
  const crop = crops && config.crop_size ? toSize(config.crop_size) : undefined;
  const own = crop ?? exact ?? (shortest === undefined ? undefined : { height: shortest, width: shortest });

  let resize: Findings['resize'];
  if (!config.do_resize) {
    notices.push(`${source} asks for images that already have the model's size; others are resized to it.`);
    resize = (size) => ({ mode: 'exact', ...size });
  } else if (shortest !== undefined) {
    const { crop_pct: pct } = config;
    resize = pct != null ? keepCenter(pct) : (size) => ({ mode: 'shortest', length: scaleEdge(shortest, size, own!) });
  } else if (exact) {
    resize = (size) => ({
      mode: 'exact',
      height: Math.floor((exact.height * size.height) / own!.height),
      width: Math.floor((exact.width * size.width) / own!.width),
    });
  }
  return {
    source,
    size: own,
    resize,
    interpolation: interpolationOf(config.resample, source, notices),
    mean: config.do_normalize ? (config.image_mean ?? undefined) : [0, 0, 0],
    std: config.do_normalize ? (config.image_std ?? undefined) : [1, 1, 1],
    scale: config.do_rescale ? (config.rescale_factor ?? undefined) : 1,
  };
}

function shortestEdge(size: v.InferOutput<typeof HuggingFaceConfig>['size']): number | undefined {
  return typeof size === 'object' && size !== null && 'shortest_edge' in size ? size.shortest_edge : undefined;
}

/** A shortest edge given for input size `own`, for another `size`: the crop keeps the same share of the image. */
function scaleEdge(length: number, size: Size, own: Size): number {
  return Math.floor((length * Math.min(size.height, size.width)) / Math.min(own.height, own.width));
}

/** ONNX metadata under timm's names, as strings: JSON, or numbers between commas. What makes no sense is left alone. */
function fromMetadata(metadata: Readonly<Record<string, string>>, notices: string[]): Findings {
  const source = 'the ONNX metadata';
  const keys = Object.keys(TimmConfig.entries).filter((key) => key in metadata);
  const content = Object.fromEntries(keys.map((key) => [key, parseNumbers(metadata[key]!)]));
  try {
    return fromTimm(source, content, notices);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    notices.push(`${error.message}; the metadata are ignored.`);
    return { source };
  }
}

function parseNumbers(text: string): string | number | number[] {
  const list = /^[\s([]*([-+.\deE\s,]+)[\s)\]]*$/.exec(text)?.[1]?.split(',').map(Number);
  if (list === undefined || list.some(Number.isNaN)) return text.trim();
  return list.length === 1 ? list[0]! : list;
}

/** Pillow's numbers and everyone's names; other filters are replaced by bicubic, with a notice. */
function interpolationOf(
  value: number | string | null | undefined,
  source: string,
  notices: string[],
): Interpolation | undefined {
  if (value === null || value === undefined) return undefined;
  const name = String(value).toLowerCase().replace(/^.*\./, '');
  if (name === '3' || name === 'bicubic') return 'bicubic';
  if (name === '2' || name === 'bilinear') return 'bilinear';
  notices.push(`${source}: interpolation ${value} is not supported; bicubic is used instead.`);
  return 'bicubic';
}

/** timm's centre crop: resize to ⌊size / pct⌋, keep the proportions, and cut out the middle. */
function keepCenter(pct: number): (size: Size) => ResizeRule {
  return ({ height, width }) => {
    const scaled = { height: Math.floor(height / pct), width: Math.floor(width / pct) };
    if (scaled.height === scaled.width) return { mode: 'shortest', length: scaled.height };
    return { mode: 'cover', ...scaled };
  };
}

/** timm's squash: both edges to ⌊size / pct⌋, whatever the proportions. */
function squash(pct: number): (size: Size) => ResizeRule {
  return ({ height, width }) => ({ mode: 'exact', height: Math.floor(height / pct), width: Math.floor(width / pct) });
}

function check<S extends v.GenericSchema>(schema: S, content: unknown, where: string): v.InferOutput<S> {
  const result = v.safeParse(schema, content);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const key = v.getDotPath(issue) ?? 'its root';
  throw new InputError(`${where}: the pre-processing value ${key} cannot be used: ${issue.message}`);
}
