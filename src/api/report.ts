/** Reports: an integer model beside its float model, as one page or as JSON. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { createOpRunner } from '../engine/runner.js';
import { InputError } from '../errors.js';
import { someOf } from '../names.js';
import type { Graph } from '../graph/types.js';
import { loadSharp } from '../images/decode.js';
import { scaled } from '../metrics/agreement.js';
import { quantilesOf } from '../metrics/quantiles.js';
import { outputOf, classifierOf } from '../metrics/output.js';
import { rank } from '../metrics/predictions.js';
import { writeAtomically } from '../program/file.js';
import { holdOut } from '../quantize/index.js';
import type { QuantizeResult } from '../quantize/index.js';
import { FidelityMeter, adviseOn, observeProgram, renderPage, reportJson } from '../report/index.js';
import type { Analysis, Example, LayerFigures, ReportData } from '../report/index.js';
import { checkReportArguments } from './arguments.js';
import { commandLine, quantizeCommand } from './command.js';
import { drawImages } from './draw-images.js';
import type { DrawnImages } from './draw-images.js';
import { FloatReference } from './float-reference.js';
import { checkInputs } from './inputs.js';
import { watched } from './long-work.js';
import { Model } from './model.js';
import { checkOutputs } from './outputs.js';
import type { QuantizeSummary } from './summary.js';
import type { QuantizeRequest, ReportRequest } from './requests.js';

/** An image that both models have seen. */
export interface ComparedImage {
  readonly name: string;
  /** u8 HWC of the network's input size. */
  readonly pixels: Uint8Array;
  /** The float model's outputs, as the integer model's lie. */
  readonly float: Float32Array;
}

/** Images whose integers are looked at op by op, and images that are shown. */
const OBSERVED = 4;
const EXAMPLES = 24;
const NEAREST = 6;
const TOP = 5;
const THUMBNAIL = 96;

/**
 * Compares a model with its float model on images, and writes what it finds.
 *
 *     await report('model.ivit', { float: 'model.onnx', images: 'photos/', output: 'report.html' });
 *
 * @throws InputError where a file or the images cannot be used; nothing is written then
 */
export async function report(file: string, given: ReportRequest): Promise<ReportData> {
  checkReportArguments(file, given);
  const request = watched(given);
  const { float: floatFile, images, output, limit, threads, onNotice } = request;
  checkInputs([floatFile, images], [images]);
  checkOutputs([{ option: '-o', path: output, kind: reportKind(output) }], [file, floatFile, images]);
  const model = await Model.load(file, { threads });
  try {
    const float = await FloatReference.open(floatFile, model, onNotice);
    try {
      const drawn = await drawImages(images, limit ?? Infinity);
      drawn.notices.forEach((notice) => onNotice?.(notice));
      const { program, provenance } = model.file;
      const names = new Set((provenance.layers ?? []).map(({ name }) => name));
      const analysis = await analyze(model, comparedImages(drawn, model, float, request), {
        graph: float.graph,
        layerNames: names,
        about: `measured on ${drawn.count} images of ${images}`,
      });
      const layers = layersOf(model, analysis);
      const { calibration, settings, source, tool } = provenance;
      const facts = { layers, analysis, settings, calibration };
      const data: ReportData = {
        output: file,
        command: commandLine(
          ...['report', file, '--float', floatFile, '--images', images, '-o', output],
          ...(limit === undefined ? [] : ['--limit', String(limit)]),
        ),
        bytes: statSync(file).size,
        floatBytes: source.bytes,
        parameters: source.parameters,
        classes: model.classes,
        source: source.name,
        tool,
        ...facts,
        attentions: program.ops.flatMap((op) =>
          op.op === 'attention' && typeof op.softmax === 'string'
            ? [{ name: op.name, softmaxBits: op.softmaxBits, sensitivity: null }]
            : [],
        ),
        advice: adviseOn(facts),
      };
      writeReport(output, data);
      return data;
    } finally {
      await float.close();
    }
  } finally {
    await model.close();
  }
}

/** What a quantization had at hand. */
interface Quantized {
  readonly graph: Graph;
  /** All calibration images, u8 HWC, and what they are called. */
  readonly images: readonly Uint8Array[];
  readonly names: readonly string[];
  readonly result: Pick<QuantizeResult, 'floatLogits' | 'fittedImages'>;
}

/** Writes the report that a request asks for, of the model quantized just now: with what is measured only then. */
export async function reportQuantized(
  file: string,
  request: QuantizeRequest,
  summary: QuantizeSummary,
  { graph, images, names, result }: Quantized,
): Promise<void> {
  const { report: output, threads, onProgress } = request;
  if (output === undefined) return;
  const model = await Model.load(summary.output, { threads });
  try {
    const { fittedImages, floatLogits } = result;
    const held = holdOut(images.map((pixels, i) => ({ pixels, name: names[i] }))).images.slice(fittedImages);
    const compared = held.map((image, i) => ({ ...image, float: floatLogits[fittedImages + i] }));
    const { provenance } = model.file;
    const { layers } = summary;
    const analysis = await analyze(model, reported(compared, onProgress), {
      graph,
      layerNames: new Set(layers.map(({ name }) => name)),
      about: `measured on ${held.length} calibration images that nothing was fitted to`,
    });
    const { calibration, settings, source, tool } = provenance;
    writeReport(output, {
      ...summary,
      ...{ command: quantizeCommand(file, request), source: source.name, tool, settings, calibration, analysis },
      advice: adviseOn({ layers, analysis, settings, calibration }),
    });
  } finally {
    await model.close();
  }
}

function* reported<T>(items: readonly T[], onProgress: QuantizeRequest['onProgress']): Generator<T> {
  for (const [i, item] of items.entries()) {
    yield item;
    onProgress?.('report', i + 1, items.length);
  }
}

/** What a report of a name is: a page, or JSON. */
export const reportKind = (file: string): 'report page' | 'quantization report' =>
  isPage(file) ? 'report page' : 'quantization report';

const isPage = (file: string): boolean => /^\.html?$/i.test(path.extname(file));

export function writeReport(file: string, data: ReportData): void {
  writeAtomically(file, new TextEncoder().encode(isPage(file) ? renderPage(data) : `${reportJson(data)}\n`));
}

async function* comparedImages(
  { count, images, unread }: DrawnImages,
  model: Model,
  float: FloatReference,
  request: ReportRequest,
): AsyncGenerator<ComparedImage> {
  const { onProgress, onNotice } = request;
  const skipped: string[] = [];
  let done = 0;
  for await (const { path: file, image } of images) {
    try {
      if (image instanceof InputError) throw image;
      const pixels = model.prepare(image);
      yield { name: path.basename(file), pixels, float: await float.run(pixels) };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      skipped.push(file);
      if (skipped.length === count) throw error;
    }
    onProgress?.('compare', ++done, count);
  }
  if (skipped.length > 0) onNotice?.(`${skipped.length} of ${count} images skipped: ${someOf(skipped)}`);
  const left = unread?.notice(request.images) ?? null;
  if (left !== null) onNotice?.(left);
}

/** What the analysis knows beside the two models. */
interface Surroundings {
  /** The float graph; null where it is not imported. */
  readonly graph: Graph | null;
  readonly layerNames: ReadonlySet<string>;
  readonly about: string;
}

/** Runs the integer model on images that the float model has seen. */
export async function analyze(
  model: Model,
  images: AsyncIterable<ComparedImage> | Iterable<ComparedImage>,
  { graph, layerNames, about }: Surroundings,
): Promise<Analysis> {
  const { outputs, program } = model.file;
  const meter = new FidelityMeter(outputs);
  const times: number[] = [];
  const observed: Uint8Array[] = [];
  let candidates: Candidate[] = [];
  let disagreements = 0;
  for await (const image of images) {
    const start = performance.now();
    const integer = await model.run(image.pixels);
    times.push(performance.now() - start);
    meter.add(image.float, scaled(integer, model.logitScale));
    if (observed.length < OBSERVED) observed.push(image.pixels);
    if (model.classes === 0) continue;
    const [differs, kl] = [meter.differs.at(-1)!, meter.kl.at(-1)!];
    if (differs) disagreements++;
    candidates.push({ ...image, integer, differs, kl });
    candidates.sort((a, b) => Number(b.differs) - Number(a.differs) || b.kl - a.kl);
    candidates = candidates.slice(0, EXAMPLES);
  }
  const shown = disagreements > 0 ? candidates.filter(({ differs }) => differs) : candidates.slice(0, NEAREST);
  const runner = await createOpRunner();
  const activations = new Map(
    graph?.nodes.flatMap((node) => (node.op === 'activation' ? [[node.name, node.kind] as const] : [])),
  );
  try {
    return {
      about,
      fidelity: meter.result(),
      disagreements,
      examples: await Promise.all(shown.map((one) => exampleOf(one, model))),
      ...(await observeProgram(program, runner, observed, {
        layerNames,
        // Ops for the output rows alone, and ops of one name, have an ending.
        kindOf: (name) => activations.get(name) ?? activations.get(name.replace(/(\.output|\.\d+)+$/, '')) ?? null,
      })),
      speed: { latencyMs: quantilesOf(times), backend: model.backend, isa: model.isa, threads: model.threads },
    };
  } finally {
    runner.close();
  }
}

interface Candidate extends ComparedImage {
  readonly integer: Int32Array;
  readonly differs: boolean;
  readonly kl: number;
}

async function exampleOf({ name, kl, pixels, float, integer }: Candidate, model: Model): Promise<Example> {
  const classifier = classifierOf(model.file.outputs)!;
  const { labels } = model;
  return {
    name,
    kl,
    float: rank(classifier, outputOf(float, classifier), { top: TOP, labels, scale: 1 }),
    integer: model.predictions(model.logitsOf(integer), TOP),
    thumbnail: await thumbnailOf(pixels, model),
  };
}

async function thumbnailOf(pixels: Uint8Array, model: Model): Promise<string | null> {
  const { height, width, channels } = model.file.program.input;
  if (channels !== 1 && channels !== 3) return null;
  const jpeg = await loadSharp()(pixels, { raw: { width, height, channels } })
    .resize(THUMBNAIL, THUMBNAIL, { fit: 'inside' })
    .jpeg({ quality: 75 })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

/** The layers as the file tells of them: what is measured while a model is quantized alone is null. */
function layersOf(model: Model, analysis: Analysis): LayerFigures[] {
  const { program, provenance } = model.file;
  const integers = new Map(analysis.layers.map((one) => [one.name, one]));
  const ops = new Map(program.ops.map((op) => [op.name, op]));
  return (provenance.layers ?? []).flatMap(({ name, sqnrDb }): LayerFigures[] => {
    const op = ops.get(name);
    if (op?.op !== 'linear') return [];
    const second = ops.get(`${name}.second`);
    const input = op.x === 0 ? null : program.ops[op.x - 1];
    return [
      {
        name,
        rows: op.rows,
        inFeatures: op.inFeatures,
        outFeatures: op.cols,
        inputBits: input?.out.type === 'i16' ? 16 : 8,
        weightBits: op.weightBits + (second?.op === 'linear' ? second.weightBits : 0),
        weightSensitivity: null,
        input: { range: null, scale: null, strength: null, sensitivity: null },
        output: { type: op.out.type, scale: null },
        sqnrDb: Number(sqnrDb),
        clipped: integers.get(name)?.outputs.atEnds ?? 0,
        ridge: null,
        heldOutError: null,
      },
    ];
  });
}
