/** One float model in several integer forms, side by side: the comparison of I-ViT's paper, on the user's own model. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nativeFailure } from '../engine/load.js';
import { InputError, UsageError } from '../errors.js';
import type { Dataset } from '../images/datasets/index.js';
import { classCount } from '../graph/output.js';
import { writeAtomically } from '../program/file.js';
import { DEFAULT_OPTIONS, EFFORT_SETTINGS, FloatPasses, KERNEL_SETS, resolveScheme } from '../quantize/index.js';
import type { KernelSet } from '../quantize/index.js';
import { renderComparison, COMPARISON_FORMATS } from '../report/comparison/index.js';
import type { ComparisonData, ComparisonFormat } from '../report/comparison/index.js';
import { checkCompareArguments } from './arguments.js';
import { compareCommand } from './command.js';
import { evaluateForms } from './compare-evaluation.js';
import type { Combination, IntegerForm } from './compare-evaluation.js';
import { datasetOf } from './evaluate.js';
import { checkInputs } from './inputs.js';
import { watched } from './long-work.js';
import { checkOutputs } from './outputs.js';
import type { OutputFile } from './outputs.js';
import { openResume, prepareQuantization, quantizePrepared } from './quantize.js';
import type { PreparedQuantization } from './quantize.js';
import type { CompareRequest } from './requests.js';
import { noticeLeft, resumeName, type ResumeFile } from './resume-file.js';
import { VERSION } from './version.js';

/**
 * Quantizes a model with each kernel set and way to scale, and measures all of them, the float model and ONNX Runtime's
 * int8 forms of it in one pass over the images of a dataset.
 *
 *     const { models } = await compare('model.onnx', { images: 'photos/', dataset: 'val/' });
 *
 * @throws InputError where the model, the images or the dataset cannot be used, or an output cannot be written; nothing
 * is written then, but for quantized files that are to be kept. The signal's reason where it is given up.
 */
export async function compare(model: string, given: CompareRequest): Promise<ComparisonData> {
  checkCompareArguments(model, given);
  const request = watched(given);
  const start = performance.now();
  const notice = request.onNotice ?? (() => undefined);
  const format = request.output === undefined ? null : formatOf(request.output);
  const combinations = combinationsOf(request, notice);
  checkFiles(model, request, combinations);
  const most = quantizeRequest(request, mostImages(combinations));
  const prepared = await prepareQuantization(model, most);
  const { graph } = prepared.imported;
  const subject = { name: path.basename(model), classes: classCount(graph), labels: prepared.labels };
  const dataset = await datasetOf(subject, { ...request, float: model }); // before the long work
  const folder = request.keep ?? mkdtempSync(path.join(tmpdir(), 'ivit-compare-'));
  // An interrupt ends the process where it is.
  const clean = (): void => {
    if (request.keep === undefined) rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', clean);
  try {
    request.onPlan?.({
      forms: combinations.map((one) => ({ name: nameOf(one), effort: one.effort })),
      images: Math.min(dataset.items.length, request.limit ?? Infinity),
    });
    const kept = await keptForms(prepared, most, request);
    const compared = await quantizeAndEvaluate({ prepared, request, combinations, folder, kept }, { model, dataset });
    const data: ComparisonData = {
      comparison: path.basename(model),
      command: compareCommand(model, request),
      tool: `ivit ${VERSION}`,
      calibration: { source: request.images, images: prepared.calibration.images.length },
      ...compared,
      seconds: (performance.now() - start) / 1000,
    };
    if (request.output !== undefined && format !== null)
      writeAtomically(request.output, new TextEncoder().encode(renderComparison(data, format)));
    kept?.remove();
    return data;
  } finally {
    clean();
    process.off('exit', clean);
  }
}

/** @throws UsageError where the name's ending tells no format */
function formatOf(file: string): ComparisonFormat {
  const ending = path.extname(file).slice(1).toLowerCase();
  const found = COMPARISON_FORMATS.find((one) => one === ending);
  if (found !== undefined) return found;
  const endings = COMPARISON_FORMATS.map((one) => `.${one}`).join(', ');
  throw new UsageError(`The name of the output, ${file}, tells no format: let it end in one of ${endings}`);
}

/** All kernel sets; those in float32 only where the native kernels load, as WebAssembly has none of them. */
function kernelsThatRun(notice: (text: string) => void): readonly KernelSet[] {
  const failure = nativeFailure();
  if (failure === null) return KERNEL_SETS;
  notice(`float is left out: it needs the native kernels, which do not load (${failure})`);
  return KERNEL_SETS.filter((set) => set !== 'float');
}

/** @throws UsageError where no kernels go with any of the scales asked for */
function combinationsOf(
  { kernels, scales = [DEFAULT_OPTIONS.scales], efforts = [DEFAULT_OPTIONS.effort] }: CompareRequest,
  notice: (text: string) => void,
): Combination[] {
  let refused: UsageError | undefined;
  const found = [...new Set(kernels ?? kernelsThatRun(notice))].flatMap((set) =>
    [...new Set(scales)].flatMap((mode): Combination[] => {
      try {
        resolveScheme({ ...DEFAULT_OPTIONS, kernels: set, scales: mode });
        return [...new Set(efforts)].map((effort) => ({ kernels: set, scales: mode, effort }));
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        refused = error;
        notice(`${set} with ${mode} scales is left out: ${error.message}`);
        return [];
      }
    }),
  );
  if (found.length === 0 && refused !== undefined) throw refused;
  return found;
}

/** Of several efforts, the one that takes most images: all are fitted to the same. */
function mostImages(combinations: readonly Combination[]): Combination {
  const imagesOf = ({ effort }: Combination): number => EFFORT_SETTINGS[effort].images;
  return combinations.reduce((a, b) => (imagesOf(b) > imagesOf(a) ? b : a));
}

const isUsual = ({ effort }: Combination): boolean => effort === DEFAULT_OPTIONS.effort;

const nameOf = (one: Combination): string => `${one.kernels} ${one.scales}${isUsual(one) ? '' : ` ${one.effort}`}`;

const fileOf = (model: string, folder: string, one: Combination): string =>
  path.join(folder, `${path.parse(model).name}-${nameOf(one).replaceAll(' ', '-')}.ivit`);

function checkFiles(model: string, request: CompareRequest, combinations: readonly Combination[]): void {
  const { images, dataset, labels, classMap, output, keep, resume } = request;
  checkInputs([model, images, dataset, labels, classMap], [images, dataset]);
  const kept = keep === undefined ? [] : combinations.map((one) => fileOf(model, keep, one));
  if (keep !== undefined) makeFolder(keep);
  checkOutputs(
    [
      { option: '-o', path: output, kind: 'comparison' },
      { option: '--resume', path: resume ? resumeName(output!) : undefined, kind: 'killed quantization' },
      ...kept.map((file): OutputFile => ({ option: '--keep', path: file, kind: '.ivit model' })),
    ],
    [model, images, dataset, labels, classMap],
  );
}

/** For quantized models, of `--keep`. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const isFile = code === 'EEXIST' || code === 'ENOTDIR';
    throw new InputError(
      isFile
        ? `--keep ${folder} is a file, or below one: give a folder to keep the quantized models in`
        : `The folder of --keep, ${folder}, cannot be made (${message}): choose another`,
      { cause: error, code: 'UNWRITABLE' },
    );
  }
}

function quantizeRequest(
  { images, numImages, preprocess, outputs, labels, threads, onNotice, onProgress }: CompareRequest,
  combination: Combination,
) {
  return { images, numImages, preprocess, outputs, labels, threads, onNotice, onProgress, ...combination };
}

/** What is kept of a form that was quantized. */
interface KeptForm {
  readonly content: Uint8Array;
  readonly functions: IntegerForm['functions'];
}

/** What a killed run quantized, by the forms' names, or a new file for what this one does; null: none is wanted. */
async function keptForms(
  prepared: PreparedQuantization,
  most: Parameters<typeof openResume>[1],
  { output, resume, onNotice }: CompareRequest,
): Promise<ResumeFile | null> {
  if (output === undefined) return null;
  if (resume === true) return openResume(prepared, most, output, prepared.labels);
  noticeLeft(output, onNotice);
  return null;
}

interface QuantizeAllRequest {
  readonly prepared: PreparedQuantization;
  readonly request: CompareRequest;
  readonly combinations: readonly Combination[];
  readonly folder: string;
  readonly kept: ResumeFile | null;
}

async function quantizeAndEvaluate(
  all: QuantizeAllRequest,
  { model, dataset }: { readonly model: string; readonly dataset: Dataset },
): ReturnType<typeof evaluateForms> {
  const { prepared, request, kept } = all;
  try {
    const forms = await quantizeAll(all);
    return await evaluateForms({ model, request, prepared, dataset, forms });
  } catch (error) {
    kept?.close();
    throw error;
  }
}

/** One quantization after the other; what the float model tells of the images is found out once. */
async function quantizeAll(all: QuantizeAllRequest): Promise<IntegerForm[]> {
  const { prepared, request, combinations, folder, kept } = all;
  const passes = new Map(combinations.map(({ effort }) => [effort, new FloatPasses()]));
  const forms: IntegerForm[] = [];
  try {
    for (const combination of combinations) {
      const name = nameOf(combination);
      request.onForm?.(name);
      const file = fileOf(prepared.model, folder, combination);
      const found = kept?.get(name) as KeptForm | undefined;
      if (found === undefined) {
        const own = quantizeRequest(request, combination);
        const shared = { passes: passes.get(combination.effort) };
        const { bytes, result } = await quantizePrepared(prepared, own, file, shared);
        kept?.put(name, { content: readFileSync(file), functions: result.functions } satisfies KeptForm);
        forms.push({ ...combination, name, file, bytes, functions: result.functions });
      } else {
        writeAtomically(file, found.content);
        forms.push({ ...combination, name, file, bytes: found.content.length, functions: found.functions });
      }
    }
  } finally {
    for (const one of passes.values()) await one.close();
  }
  return forms;
}
