/** What callers of the library may give, checked before any work. */
import type { DecodeOptions } from '../images/decode.js';
import { MAX_CHANNELS } from '../images/image.js';
import type { RecipeFlags } from '../images/preprocess/flags.js';
import { PRESET_NAMES } from '../images/preprocess/presets.js';
import { INTERPOLATIONS } from '../images/resample.js';
import { MAX_EDGE } from '../images/preprocess/recipe.js';
import { EFFORTS, KERNEL_SETS, METHODS, SCALE_MODES, WEIGHT_BITS } from '../quantize/index.js';
import { UsageError } from '../errors.js';
import { ENGINE, EXIF, FUNCTION, LONG_WORK, check, checkObject, oneOf, path, shaped, wholeNumber } from './checks.js';
import type { Check, Checks } from './checks.js';
import type { CompareRequest, EvaluateRequest, QuantizeRequest, ReportRequest } from './requests.js';

const listOf = ({ expected, accepts }: Check): Check => ({
  expected: `a list, of which each is ${expected}`,
  accepts: (value) => Array.isArray(value) && value.every(accepts),
});
const numbers = (expected: string, accepts: (x: number) => boolean): Check => ({
  expected,
  accepts: (value) =>
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= MAX_CHANNELS &&
    value.every((x) => Number.isFinite(x) && accepts(x as number)),
});
function isTarget(value: unknown): boolean {
  const [[name, number] = [], ...others] = Object.entries(value as object);
  if (others.length > 0) return false;
  if (name === 'bits') return typeof number === 'number' && number >= 2 && number <= 8;
  if (name === 'drop') return typeof number === 'number' && number >= 0 && number <= 100;
  return name === 'bytes' && wholeNumber(1).accepts(number);
}
const BOOLEAN: Check = { expected: 'true or false', accepts: (value) => typeof value === 'boolean' };
const edge = wholeNumber(1, MAX_EDGE).accepts;

const QUANTIZE: Checks<QuantizeRequest> = {
  output: path,
  images: path,
  numImages: wholeNumber(2),
  stats: listOf(path),
  saveStats: path,
  resume: BOOLEAN,
  report: path,
  preprocess: shaped('an object', () => true),
  outputs: listOf(path),
  labels: path,
  threads: ENGINE.threads,
  ...LONG_WORK,
  onNotice: FUNCTION,
  kernels: oneOf(KERNEL_SETS),
  scales: oneOf(SCALE_MODES),
  method: oneOf(METHODS),
  effort: oneOf(EFFORTS),
  weightBits: oneOf(WEIGHT_BITS),
  layerWeightBits: listOf(
    shaped(
      '{ pattern, bits: 2 to 8 }',
      ({ pattern, bits }) => typeof pattern === 'string' && pattern !== '' && WEIGHT_BITS.includes(bits as 8),
    ),
  ),
  target: {
    expected: '{ bits: 2 to 8 }, { bytes } or { drop: 0 to 100 }',
    accepts: (value) => value === null || isTarget(value),
  },
  layerBits: listOf(
    shaped(
      '{ pattern, bits: 8 or 16 }',
      ({ pattern, bits }) => typeof pattern === 'string' && pattern !== '' && (bits === 8 || bits === 16),
    ),
  ),
};

const PREPROCESS: Checks<RecipeFlags> = {
  size: shaped(`{ height, width } of 1 to ${MAX_EDGE}`, ({ height, width }) => edge(height) && edge(width)),
  cropPct: {
    expected: 'a number above 0 and up to 1',
    accepts: (value) => typeof value === 'number' && value > 0 && value <= 1,
  },
  resize: shaped(
    "{ mode: 'shortest', length } or { mode: 'exact', height, width }",
    ({ mode, length, height, width }) =>
      (mode === 'shortest' && edge(length)) || (mode === 'exact' && edge(height) && edge(width)),
  ),
  preset: oneOf(PRESET_NAMES),
  mean: numbers('a list of numbers, one for each channel', () => true),
  std: numbers('a list of positive numbers, one for each channel', (x) => x > 0),
  interpolation: oneOf(INTERPOLATIONS),
};

const EVALUATE: Checks<EvaluateRequest> = {
  dataset: path,
  classMap: path,
  float: path,
  saveFloat: path,
  limit: wholeNumber(1),
  shard: shaped(
    '{ index, count } of whole numbers, index from 1 to count',
    ({ index, count }) => wholeNumber(1).accepts(count) && wholeNumber(1, count as number).accepts(index),
  ),
  out: path,
  resume: BOOLEAN,
  ...LONG_WORK,
  onNotice: FUNCTION,
  exif: EXIF,
  onImage: FUNCTION,
  onRow: FUNCTION,
};

const REPORT: Checks<ReportRequest> = {
  float: path,
  images: path,
  output: path,
  limit: wholeNumber(1),
  threads: ENGINE.threads,
  ...LONG_WORK,
  onNotice: FUNCTION,
};

const some = (check: Check): Check => ({
  expected: `a list of one or more, of which each is ${check.expected}`,
  accepts: (value) => listOf(check).accepts(value) && (value as unknown[]).length > 0,
});

const { numImages, preprocess, outputs, labels, threads } = QUANTIZE;

const COMPARE: Checks<CompareRequest> = {
  ...{ numImages, preprocess, outputs, labels, threads, ...LONG_WORK },
  images: path,
  dataset: path,
  classMap: path,
  limit: wholeNumber(1),
  exif: EXIF,
  kernels: some(oneOf(KERNEL_SETS)),
  scales: some(oneOf(SCALE_MODES)),
  efforts: some(oneOf(EFFORTS)),
  output: path,
  keep: path,
  resume: BOOLEAN,
  rounds: wholeNumber(1),
  onPlan: FUNCTION,
  onForm: FUNCTION,
  onNotice: FUNCTION,
};

/** @throws UsageError for the first argument that is not what it must be */
export function checkQuantizeArguments(model: unknown, request: unknown): void {
  check('quantize', 'model', model, path);
  checkObject('quantize', request, QUANTIZE);
  checkPreprocess('quantize', (request as QuantizeRequest).preprocess);
}

function checkPreprocess(call: string, asked: QuantizeRequest['preprocess']): void {
  if (asked === undefined) return;
  checkObject(`${call}, preprocess`, asked, PREPROCESS);
  if (asked.cropPct !== undefined && asked.resize !== undefined)
    throw new UsageError(`${call}, preprocess: cropPct and resize both say how to resize: give one of them`);
}

/** @throws UsageError as above */
export function checkCompareArguments(model: unknown, request: unknown): void {
  check('compare', 'model', model, path);
  checkObject('compare', request, COMPARE);
  for (const name of ['images', 'dataset'] as const) check('compare', name, (request as CompareRequest)[name], path);
  checkPreprocess('compare', (request as CompareRequest).preprocess);
  const { resume, output } = request as CompareRequest;
  if (resume === true && output === undefined)
    throw new UsageError('A comparison is resumed by the name of its output: give the file (-o) that it writes');
}

/** @throws UsageError as above */
export function checkEvaluateArguments(request: unknown): void {
  checkObject('evaluate', request, EVALUATE);
  const { dataset, resume, out, saveFloat, float } = request as EvaluateRequest;
  check('evaluate', 'dataset', dataset, path);
  if (resume === true && out === undefined)
    throw new UsageError('A run is resumed from what it wrote: give the file (--out) that it was to write');
  if (saveFloat !== undefined && float === undefined)
    throw new UsageError('Float logits are kept of a float model: give it too (--float model.onnx)');
}

/** @throws UsageError as above */
export function checkReportArguments(model: unknown, request: unknown): void {
  check('report', 'model', model, path);
  checkObject('report', request, REPORT);
  for (const name of ['float', 'images', 'output'] as const)
    check('report', name, (request as ReportRequest)[name], path);
}

/** @throws UsageError as above */
export function checkDecodeArguments(input: unknown, name: unknown, options: unknown): void {
  const isInput = (value: unknown): boolean => path.accepts(value) || value instanceof Uint8Array;
  check('decodeImage', 'input', input, { expected: 'a path or a Uint8Array', accepts: isInput });
  check('decodeImage', 'name', name, { expected: 'a text', accepts: (x) => x === undefined || typeof x === 'string' });
  checkObject<DecodeOptions>('decodeImage', options, { exif: EXIF });
}
