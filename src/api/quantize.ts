import { availableParallelism } from 'node:os';
import path from 'node:path';
import { InputError, withCode } from '../errors.js';
import { countKinds } from '../graph/describe.js';
import { classCount } from '../graph/output.js';
import type { Graph } from '../graph/types.js';
import type { ImportedModel } from '../importer/index.js';
import { readLabels } from '../images/label-list.js';
import { findLabels } from '../images/labels.js';
import type { PreprocessRecipe } from '../images/preprocess/recipe.js';
import { classifierOf, outputOf } from '../metrics/output.js';
import { decisiveness, isIndecisive } from '../metrics/information.js';
import { saveModel } from '../program/file.js';
import { encodeModel, type IvitModel } from '../program/model.js';
import { isIntegerOnly, NOT_INTEGER_ONLY } from '../program/integer-only.js';
import {
  DEFAULT_OPTIONS,
  FloatPasses,
  checkLayers,
  holdOut,
  observedNodes,
  quantizeGraph,
  resolveScheme,
} from '../quantize/index.js';
import type { GivenStatistics, QuantizeOptions, QuantizeResult, Shared } from '../quantize/index.js';
import { calibrationImages, type CalibrationImages } from './calibration-images.js';
import { normalizationOf, recordNormalization } from './float-input.js';
import type { RecipeProbe } from './probe-recipe.js';
import { importAndChooseRecipe } from './recipe.js';
import { checkQuantizeArguments } from './arguments.js';
import { listed } from './command.js';
import { unreadable } from '../onnx/index.js';
import { digestOfImages, hashFile } from './hash.js';
import { checkInputs } from './inputs.js';
import { checkOutputs } from './outputs.js';
import { watched } from './long-work.js';
import { reportKind, reportQuantized } from './report.js';
import { KeptRuns, runsName } from './kept-runs.js';
import { ResumeFile, noticeLeft, resumeName } from './resume-file.js';
import { loadStatistics, saveStatistics, statisticsSubject } from './statistics-file.js';
import type { SavedStatistics, StatisticsSubject } from './statistics-file.js';
import type { QuantizeRequest } from './requests.js';
import type { QuantizeSummary } from './summary.js';
import { VERSION } from './version.js';

/**
 * Quantizes a float ONNX Vision Transformer to a `.ivit` file.
 *
 *     const { output, agreement } = await quantize('model.onnx', { images: 'photos/' });
 *
 * @throws InputError where the model, an image list or a setting cannot be used, or the output cannot be written;
 * nothing is written then. The signal's reason where it is given up.
 */
export async function quantize(model: string, given: QuantizeRequest = {}): Promise<QuantizeSummary> {
  checkQuantizeRequest(model, given);
  const request = watched(given);
  const start = performance.now();
  const output = request.output ?? defaultOutput(model);
  const prepared = await prepareQuantization(model, request);
  const { imported, recipe, probe, calibration } = prepared;
  const { graph } = imported;
  const { images, names, skipped, unread } = calibration;
  warnIfFewHeldOut(request, images);
  const { bytes, result } = await quantizeKeeping(prepared, request, output);
  if (!prepared.synthetic && probe === null)
    warnIfIndecisive(result.floatLogits, graph, request.onNotice ?? (() => undefined));
  const summary = {
    output, // first: a report in JSON is known by it
    bytes,
    ...summarizeModel(imported, recipe, probe),
    ...summarizeResult(result),
    images: images.length,
    synthetic: prepared.synthetic,
    skipped,
    unread,
    seconds: (performance.now() - start) / 1000,
  };
  await reportQuantized(model, request, summary, { graph, images, names, result });
  return summary;
}

/** Quantizes, with what earlier runs left, and keeps what later ones can go on from. */
async function quantizeKeeping(
  prepared: PreparedQuantization,
  request: QuantizeRequest,
  output: string,
): ReturnType<typeof quantizePrepared> {
  const { runs, subject, images } = prepared;
  const { saveStats } = request;
  const passes = new FloatPasses();
  let stages: ResumeFile | undefined;
  try {
    if (request.resume === true) stages = await openResume(prepared, request, output);
    else noticeLeft(output, request.onNotice);
    const made = await quantizePrepared(prepared, request, output, { stages, passes, runs: runs ?? undefined });
    if (saveStats !== undefined) {
      saveStatistics(saveStats, made.result.statistics, subject, { images });
      runs?.save(runsName(saveStats));
    }
    stages?.remove();
    return made;
  } catch (error) {
    stages?.close();
    throw error;
  } finally {
    await passes.close();
    runs?.close();
  }
}

/** What quantizations of one model with different options have in common. */
export interface PreparedQuantization {
  readonly model: string;
  readonly imported: ImportedModel;
  readonly recipe: PreprocessRecipe;
  readonly probe: RecipeProbe | null;
  readonly labels: readonly string[] | null;
  readonly subject: StatisticsSubject;
  /** Those given. */
  readonly given: SavedStatistics | undefined;
  /** Whether these are of the calibration images, too. */
  readonly isCovered: boolean;
  /** What the float model gives and gave; null: nobody asks to keep it. */
  readonly runs: KeptRuns | null;
  readonly calibration: CalibrationImages;
  /** Digest of the calibration images. */
  readonly images: string;
  /** Whether the images are made up. */
  readonly synthetic: boolean;
}

/** Imports a model, settles its recipe, and reads the calibration images. */
export async function prepareQuantization(model: string, request: QuantizeRequest): Promise<PreparedQuantization> {
  const { stats = [], saveStats, threads = availableParallelism() } = request;
  const sha256 = await hashFile(model).catch(async (error: unknown) => {
    throw await unreadable(model, error);
  });
  const runs = stats.length > 0 || saveStats !== undefined ? KeptRuns.read(stats, { sha256, threads }) : null;
  try {
    return await prepareWith(runs, sha256, model, { ...request, threads });
  } catch (error) {
    runs?.close();
    throw error;
  }
}

async function prepareWith(
  runs: KeptRuns | null,
  sha256: string,
  model: string,
  request: QuantizeRequest & { readonly threads: number },
): Promise<PreparedQuantization> {
  const notice = request.onNotice ?? (() => undefined);
  const asked = { ...request, recipes: runs ?? undefined };
  const { imported, recipe, probe } = await importAndChooseRecipe(model, asked, notice);
  const { graph } = imported;
  checkLayers(graph, { ...DEFAULT_OPTIONS, ...definedOptions(request) });
  const labels = await labelsOf(model, graph, request.labels);
  const { mean, std } = normalizationOf(recipe);
  const subject = statisticsSubject(sha256, graph, mean, std);
  const given = await statisticsGiven(request.stats ?? [], subject, graph);
  const calibration = await calibrationImages(request, recipe, notice);
  const synthetic = request.images === undefined;
  const images = digestOfImages(calibration.images);
  const isCovered = given?.images.has(images) === true;
  runs?.of({ ...subject, images, outputs: request.outputs }, isCovered, notice);
  return { model, imported, recipe, probe, labels, subject, given, isCovered, runs, calibration, images, synthetic };
}

/**
 * Quantizes what was prepared, and writes it.
 *
 * @param shared what it has in common with quantizations that differ in kernels and scales alone, or with a killed run
 */
export async function quantizePrepared(
  prepared: PreparedQuantization,
  request: QuantizeRequest,
  output: string,
  shared: Shared = {},
): Promise<{ bytes: number; result: QuantizeResult }> {
  const { model, imported, recipe, labels, given, synthetic } = prepared;
  const { graph, parameters } = imported;
  const { images } = prepared.calibration;
  const options = { ...DEFAULT_OPTIONS, ...definedOptions(request) };
  const asked = {
    graph,
    images,
    synthetic,
    normalization: normalizationOf(recipe),
    options,
    statistics: howToObserve(prepared, request),
    threads: request.threads ?? availableParallelism(),
    onProgress: request.onProgress,
  };
  // Those of the calibration images alone are what would be observed anyway.
  const statisticsImages = (built: QuantizeResult): number | null => {
    const seen = built.statistics.get(graph.output)!.images;
    return given === undefined || (prepared.isCovered && seen === built.fittedImages) ? null : seen;
  };
  const modelOf = (built: QuantizeResult): IvitModel => ({
    program: built.program,
    preprocess: { size: recipe.size, resize: recipe.resize, interpolation: recipe.interpolation },
    outputs: graph.outputs,
    labels,
    logitScale: String(built.outputScale),
    provenance: {
      tool: `ivit ${VERSION}`,
      source: { name: path.basename(model), sha256: prepared.subject.sha256, bytes: imported.bytes, parameters },
      normalization: recordNormalization(recipe),
      settings: { ...recordSettings(options, statisticsImages(built)), runtime: built.runtime },
      calibration: { images: images.length, source: synthetic ? 'synthetic' : 'images' },
      layers: built.layers.map(({ name, sqnrDb }) => ({ name, sqnrDb: decibels(sqnrDb) })),
    },
  });
  const sizeOf = (built: QuantizeResult): number => encodeModel(modelOf(built), () => NO_DIGEST).length;
  const result = await quantizeGraph(asked, { ...shared, sizeOf });
  for (const notice of result.notices) request.onNotice?.(notice);
  if (!isIntegerOnly(result.program)) request.onNotice?.(`WARNING: ${NOT_INTEGER_ONLY}`);
  const bytes = await saveModel(output, modelOf(result));
  return { bytes, result };
}

/** Stands for a hash where only the size of a file is asked for. */
const NO_DIGEST = '0'.repeat(64);

/**
 * Ranges come from statistics that are given, and from photographs that these are not of; made-up images add nothing to
 * given ones.
 */
function howToObserve(prepared: PreparedQuantization, { saveStats }: QuantizeRequest): GivenStatistics {
  const { given, synthetic, isCovered } = prepared;
  const observeImages = given === undefined || !(synthetic || isCovered);
  return { given: given?.statistics, observeImages, histograms: saveStats !== undefined };
}

/** Where one image held out is more than the decisions that may be lost, these cannot be told. */
function warnIfFewHeldOut({ target, onNotice }: QuantizeRequest, images: readonly Uint8Array[]): void {
  if (target == null || !('drop' in target)) return;
  const { images: all, fitImages } = holdOut(images);
  const held = all.length - fitImages;
  if (100 / held > target.drop)
    onNotice?.(
      `WARNING: a drop of ${target.drop} % cannot be told from ${held} held-out images: one of them is ` +
        `${(100 / held).toFixed(1)} %. An eighth of the images are held out: give more (--num-images).`,
    );
}

/** Fewer tell nothing. */
const LEAST_TELLING_IMAGES = 16;

/** A float model that is sure of nothing, or always says the same, sees images that it was not trained on. */
function warnIfIndecisive(values: readonly Float32Array[], graph: Graph, notice: (text: string) => void): void {
  const [classifier, classes] = [classifierOf(graph.outputs), classCount(graph)];
  if (classifier === null || classes < 2 || values.length < LEAST_TELLING_IMAGES) return;
  const logits = values.map((all) => outputOf(all, classifier));
  const found = decisiveness(logits);
  if (!isIndecisive(found, classes, logits.length)) return;
  notice(
    'WARNING: the predictions of the float model do not tell the calibration images apart ' +
      `(on average it is ${(100 * found.confidence).toFixed(0)} % sure). The pre-processing is probably not right, ` +
      'or the images are of another kind than the model was trained on.',
  );
}

/** What a summary says of the float model. */
function summarizeModel(
  imported: ImportedModel,
  recipe: PreprocessRecipe,
  recipeProbe: RecipeProbe | null,
): Pick<
  QuantizeSummary,
  'floatBytes' | 'parameters' | 'recognized' | 'classes' | 'normalization' | 'modelNotices' | 'recipeProbe'
> {
  const { graph, operators } = imported;
  return {
    floatBytes: imported.bytes,
    recognized: { family: graph.family, operators, kinds: countKinds(graph) },
    parameters: imported.parameters,
    classes: classCount(graph),
    normalization: { mean: recipe.mean, std: recipe.std, source: recipe.source },
    modelNotices: imported.notices,
    recipeProbe,
  };
}

/** What a summary says of the integer model. */
function summarizeResult(
  result: QuantizeResult,
): Pick<QuantizeSummary, 'agreement' | 'outputs' | 'constantOutputs' | 'layers' | 'attentions' | 'runtime'> {
  const { agreement, outputs, constantOutputs, layers, attentions, runtime } = result;
  return { agreement, outputs, constantOutputs, layers, attentions, runtime };
}

/** What a killed run left, or a new file for what this one gives; `labels`: where that depends on them. */
export async function openResume(
  { subject, recipe, images }: PreparedQuantization,
  request: QuantizeRequest,
  output: string,
  labels?: readonly string[] | null,
): Promise<ResumeFile> {
  const options = { ...DEFAULT_OPTIONS, ...definedOptions(request) };
  const { outputs, saveStats } = request;
  const file = ResumeFile.open(resumeName(output), {
    tool: `ivit ${VERSION}`,
    model: subject.sha256,
    images,
    preprocessing: `${subject.preprocessing}, ${JSON.stringify(normalizationOf(recipe))}`,
    settings: JSON.stringify({ ...options, outputs, labels, histograms: saveStats !== undefined }),
    statistics: await Promise.all((request.stats ?? []).map(hashFile)),
  });
  if (file.isResumed) request.onNotice?.(`Going on where a killed run ended: ${resumeName(output)}`);
  return file;
}

/** The statistics of the files given; undefined where none are. */
async function statisticsGiven(
  files: readonly string[],
  subject: StatisticsSubject,
  graph: Graph,
): Promise<SavedStatistics | undefined> {
  if (files.length === 0) return undefined;
  const channels = new Map(observedNodes(graph).map((node) => [node.id, node.cols]));
  return withCode('BAD_FILE', loadStatistics(files, subject, channels));
}

/** The labels of a model's classes, from the file given or from those beside the model; null where there are none. */
async function labelsOf(model: string, graph: Graph, file: string | undefined): Promise<readonly string[] | null> {
  const classes = classCount(graph);
  if (file === undefined) return (classes > 0 && (await findLabels(model, classes))) || null;
  if (classes === 0) throw new InputError(`${model} has no classes, no output of it classifies: leave out the labels`);
  return withCode('BAD_FILE', readLabels(file, classes));
}

/**
 * Checks a request, and where its outputs go, before any work.
 *
 * @throws UsageError for wrong arguments; InputError for files that are not there, and as `checkOutputs`
 */
export function checkQuantizeRequest(model: string, request: QuantizeRequest): void {
  checkQuantizeArguments(model, request);
  resolveScheme({ ...DEFAULT_OPTIONS, ...definedOptions(request) }); // tells of options that exclude each other
  checkInputs([model, request.images, request.labels, ...(request.stats ?? [])], [request.images]);
  const output = request.output ?? defaultOutput(model);
  checkOutputs(
    [
      { option: '-o', path: output, kind: '.ivit model' },
      { option: '--resume', path: request.resume ? resumeName(output) : undefined, kind: 'killed quantization' },
      { option: '--save-stats', path: request.saveStats, kind: 'file of statistics' },
      { option: '--save-stats', path: request.saveStats && runsName(request.saveStats), kind: "float model's runs" },
      { option: '--report', path: request.report, kind: reportKind(request.report ?? '') },
    ],
    [model, request.labels, request.images, ...(request.stats ?? [])],
  );
}

/** `model.onnx` → `model.ivit`, beside it. */
export function defaultOutput(model: string): string {
  const { dir, name, ext } = path.parse(model);
  return path.join(dir, `${/^\.onnx$/i.test(ext) ? name : name + ext}.ivit`);
}

/** The quantizer's options that the request sets. */
function definedOptions(request: QuantizeRequest): Partial<QuantizeOptions> {
  const keys = Object.keys(DEFAULT_OPTIONS) as (keyof QuantizeOptions)[];
  return Object.fromEntries(keys.filter((key) => request[key] !== undefined).map((key) => [key, request[key]]));
}

/** For provenance: exact outputs, and those of layers that only give zeros, count as 200 dB. */
function decibels(value: number): string {
  return (Number.isNaN(value) ? 200 : Math.max(-200, Math.min(200, value))).toFixed(1);
}

/**
 * The options as a model's provenance records them.
 *
 * @param statisticsImages how many images the ranges were chosen on, where statistics were given; else null
 */
function recordSettings(
  { layerBits, layerWeightBits, target, ...simple }: QuantizeOptions,
  statisticsImages: number | null,
): Record<string, string> {
  const settings = Object.fromEntries(Object.entries(simple).map(([key, value]) => [key, String(value)]));
  if (layerBits.length > 0) settings['layerBits'] = listed(layerBits);
  if (layerWeightBits.length > 0) settings['layerWeightBits'] = listed(layerWeightBits);
  if (target !== null && 'bits' in target) settings['targetBits'] = String(target.bits);
  if (target !== null && 'drop' in target) settings['maxDrop'] = String(target.drop);
  if (target !== null && 'bytes' in target) settings['targetSize'] = String(target.bytes);
  if (statisticsImages !== null) settings['statisticsImages'] = String(statisticsImages);
  return settings;
}
