/** Commands that repeat what was done, as they can be typed into a shell. */
import { DEFAULT_OPTIONS, type PatternBits, type Target } from '../quantize/index.js';
import type { Provenance } from '../program/model.js';
import type { CompareRequest, QuantizeRequest } from './requests.js';

/** An argument as it can be typed into a shell. */
export function shellQuoted(argument: string): string {
  return /^[\w./@%+=:,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", String.raw`'\''`)}'`;
}

/** `ivit` and its arguments; those that are undefined are left out. */
export function commandLine(...args: (string | undefined)[]): string {
  return ['ivit', ...args.filter((arg) => arg !== undefined)].map(shellQuoted).join(' ');
}

const option = (name: string, value: string | number | undefined): string[] =>
  value === undefined ? [] : [`--${name}`, String(value)];

/** `pattern=bits,…` */
export function listed(patterns: readonly PatternBits<number>[]): string {
  return patterns.map(({ pattern, bits }) => `${pattern}=${bits}`).join(',');
}

/** @param patterns as `listed` writes them */
function weightBitsOption(bits: number | string | undefined, patterns = ''): string[] {
  const others = String(bits ?? DEFAULT_OPTIONS.weightBits) === String(DEFAULT_OPTIONS.weightBits) ? [] : [bits];
  const all = [...others, ...(patterns === '' ? [] : [patterns])];
  return all.length === 0 ? [] : option('weight-bits', all.join(','));
}

const targetOption = (target: Target | null): string[] => {
  if (target === null) return [];
  if ('drop' in target) return option('max-drop', target.drop);
  return 'bits' in target ? option('target-bits', target.bits) : option('target-size', target.bytes);
};

/** Settings that are one word each. */
const WORDS = ['kernels', 'scales', 'method', 'effort'] as const;

/** Options of those that are not the default. */
function wordOptions(settings: { readonly [name in (typeof WORDS)[number]]?: string }): string[] {
  return WORDS.flatMap((name) => (settings[name] === DEFAULT_OPTIONS[name] ? [] : option(name, settings[name])));
}

/** The command that quantizes a model as a request of the library does. */
export function quantizeCommand(model: string, request: QuantizeRequest): string {
  const { output, outputs = [], images, numImages, stats, saveStats, labels, threads, report, preprocess } = request;
  const { layerBits = [], layerWeightBits = [], weightBits } = request;
  return commandLine(
    'quantize',
    model,
    ...(output === undefined ? [] : ['-o', output]),
    ...outputs.flatMap((name) => option('output', name)),
    ...option('images', images),
    ...option('num-images', numImages),
    ...wordOptions(request),
    ...weightBitsOption(weightBits, listed(layerWeightBits)),
    ...targetOption(request.target ?? null),
    ...layerBits.flatMap(({ pattern, bits }) => option('layer-bits', `${pattern}=${bits}`)),
    ...option('labels', labels),
    ...(stats === undefined ? [] : ['--stats', ...stats]),
    ...option('save-stats', saveStats),
    ...(request.resume ? ['--resume'] : []),
    ...option('report', report),
    ...option('threads', threads),
    ...recipeOptions(preprocess),
  );
}

function recipeOptions(preprocess: QuantizeRequest['preprocess']): string[] {
  const { size, resize, mean, std, cropPct, preset, interpolation } = preprocess ?? {};
  const edges = (edge: { height: number; width: number }): string => `${edge.height}x${edge.width}`;
  return [
    ...option('size', size && edges(size)),
    ...option('crop-pct', cropPct),
    ...option('resize', resize && (resize.mode === 'shortest' ? resize.length : edges(resize))),
    ...option('preset', preset),
    ...option('mean', mean?.join(',')),
    ...option('std', std?.join(',')),
    ...option('interpolation', interpolation),
  ];
}

/** The command that compares the forms of a model as a request of the library does. */
export function compareCommand(model: string, request: CompareRequest): string {
  const { images, dataset, kernels, scales, output, keep, classMap, outputs = [], exif } = request;
  return commandLine(
    'compare',
    model,
    ...outputs.flatMap((name) => option('output', name)),
    ...option('images', images),
    ...option('num-images', request.numImages),
    ...option('dataset', dataset),
    ...option('class-map', classMap),
    ...option('limit', request.limit),
    ...option('exif', exif === 'apply' ? exif : undefined),
    ...option('kernels', kernels?.join(',')),
    ...option('scales', scales?.join(',')),
    ...option('effort', request.efforts?.join(',')),
    ...option('labels', request.labels),
    ...option('keep', keep),
    ...(request.resume ? ['--resume'] : []),
    ...option('runs', request.rounds),
    ...option('threads', request.threads),
    ...recipeOptions(request.preprocess),
    ...(output === undefined ? [] : ['-o', output]),
  );
}

/**
 * The command that made a file, as far as its provenance tells: the folder of the images is not in it, nor are files of
 * statistics and a normalization that flags gave.
 */
export function commandOf({ source, settings, calibration }: Provenance): string {
  const { layerBits } = settings;
  return commandLine(
    'quantize',
    source.name,
    ...(calibration.source === 'synthetic' ? [] : ['--images', 'DIR']),
    ...option('num-images', calibration.images),
    ...wordOptions(settings),
    ...weightBitsOption(settings['weightBits'], settings['layerWeightBits']),
    ...option('target-bits', settings['targetBits']),
    ...option('target-size', settings['targetSize']),
    ...option('max-drop', settings['maxDrop']),
    ...(layerBits === undefined ? [] : layerBits.split(',').flatMap((text) => option('layer-bits', text))),
  );
}
