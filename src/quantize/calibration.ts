/** The float model's pass over the calibration images. */
import { collect, type Collected, type CollectRequest } from '../calibrate/collect.js';
import { ChannelStatistics } from '../calibrate/statistics.js';
import type { Graph, GraphNode } from '../graph/types.js';
import type { Calibration } from './context.js';
import { digestOf } from './digest.js';
import { EFFORT_SETTINGS } from './effort.js';
import { chooseSamples } from './fit/samples.js';
import { FloatPasses } from './float-passes.js';
import { addedRows, separateOutputRows } from './output-rows.js';
import { planGraph } from './plan/index.js';
import type { QuantizeRequest, QuantizeResult } from './request.js';
import type { Scheme } from './schemes/scheme.js';
import { NOT_KEPT, getPass, putPass, type Stages } from './stages.js';

/**
 * What the float model gave in runs with other settings over the same images, and gives in this one: each under a
 * digest of all that it depends on, model, images and normalization apart.
 */
export interface FloatRuns {
  /** The pass over the images that kept these samples; undefined: there is none. The caller closes the samples. */
  pass(digest: string): Omit<Collected, 'statistics'> | undefined;
  keepPass(digest: string, pass: Collected): void;
  /** Errors of the outputs. */
  readonly errors: Map<string, number>;
}

/** What quantizations have in common with others, or with a run that was killed; and where the result goes. */
export interface Shared {
  /** Bytes of the file that will hold a program: needed where these are the target. */
  readonly sizeOf?: (result: QuantizeResult) => number;
  /** The caller closes them. */
  readonly passes?: FloatPasses;
  readonly stages?: Stages;
  readonly runs?: FloatRuns;
}

/** Images to fit to, then those that are held out: nothing is fitted to images from `fitImages` on. */
export interface SplitImages<T = Uint8Array> {
  readonly images: readonly T[];
  readonly fitImages: number;
}

/** The nodes whose values calibration observes, whatever the options: those of others follow. */
export function observedNodes(graph: Graph): GraphNode[] {
  return separateOutputRows(graph).nodes.filter((node) => node.op !== 'constant' && node.op !== 'windows');
}

/**
 * Runs the float model over the images, once, unless one of the passes will do. Whoever has the passes closes the
 * samples that it collects.
 */
export async function calibrate(
  request: QuantizeRequest,
  { images, fitImages }: SplitImages,
  scheme: Scheme,
  { passes = new FloatPasses(), stages = NOT_KEPT, runs }: Shared = {},
): Promise<Calibration> {
  const {
    normalization,
    options,
    statistics: { given, observeImages = true, histograms = false } = {},
    threads = 1,
  } = request;
  const graph = scheme.techniques.separatesOutputRows ? separateOutputRows(request.graph) : request.graph;
  const plan = planGraph(graph, scheme.inputs);
  const samples = chooseSamples(graph, plan, EFFORT_SETTINGS[options.effort].rowsPerImage);
  const collected = await passes.get(scheme.techniques.separatesOutputRows, async () => {
    const nodes = new Set(observedNodes(request.graph).map((node) => node.id));
    const digest = digestOfSamples(samples.wanted, images.length);
    const withHistograms =
      histograms || given !== undefined || (options.method !== 'minmax' && options.method !== 'momentum');
    const kept = getPass(stages);
    if (kept !== undefined) {
      runs?.keepPass(digest, kept);
      return kept;
    }
    // Samples alone are no use where the images are to be observed.
    const known = observeImages ? undefined : runs?.pass(digest);
    const pass =
      known === undefined
        ? await collect({
            graph: request.graph,
            notComputed: { added: addedRows(request.graph) },
            images,
            normalization,
            statistics: { nodes, images: observeImages ? fitImages : 0, histograms: withHistograms },
            samples: samples.wanted,
            runtime: { threads },
            listeners: { onProgress: (done, total) => request.onProgress?.('calibrate', done, total) },
          })
        : { ...known, statistics: unobserved(request.graph, nodes) };
    runs?.keepPass(digest, pass);
    for (const [id, statistics] of given ?? []) pass.statistics.get(id)!.merge(statistics);
    putPass(stages, pass);
    return pass;
  });
  const { statistics: observed } = collected;
  const statistics = withDerived(graph, observed);
  const gathered = { collected, observed, statistics, stages, errors: runs?.errors ?? new Map<string, number>() };
  return { graph, plan, images, fitImages, normalization, threads, samples, ...gathered };
}

/** Says which rows of which values are sampled of each image. */
function digestOfSamples(wanted: CollectRequest['samples'], images: number): string {
  return digestOf(
    [...wanted].flatMap(([id, rowsOf]) => [id, ...Array.from({ length: images }, (_, image) => rowsOf(image))]),
  );
}

/** Statistics of no image yet. */
function unobserved(graph: Graph, nodes: ReadonlySet<string>): Map<string, ChannelStatistics> {
  const channels = new Map(separateOutputRows(graph).nodes.map(({ id, cols }) => [id, cols]));
  return new Map([...nodes].map((id) => [id, new ChannelStatistics(channels.get(id)!)]));
}

/** Adds the statistics of constants, which no image changes, and of windows, which are the map's for every tap. */
function withDerived(graph: Graph, statistics: ReadonlyMap<string, ChannelStatistics>): Map<string, ChannelStatistics> {
  const all = new Map(statistics);
  for (const node of graph.nodes) {
    if (node.op === 'windows') all.set(node.id, all.get(node.x)!.repeated(node.cols));
    if (node.op !== 'constant') continue;
    const constant = new ChannelStatistics(node.cols);
    constant.observe(node.value);
    all.set(node.id, constant);
  }
  return all;
}

/** One image in so many is held out. */
const HOLD_OUT = 8;

/**
 * Moves every eighth image to the end: neighbours are often of one class, so a run of them would be a poor sample.
 * Fewer than eight are too few to spare one: they serve for both, and the agreement says what the fit reached.
 */
export function holdOut<T>(images: readonly T[]): SplitImages<T> {
  if (images.length < HOLD_OUT) return { images: [...images, ...images], fitImages: images.length };
  const isHeld = (i: number) => i % HOLD_OUT === HOLD_OUT - 1;
  const fitted = images.filter((_, i) => !isHeld(i));
  return { images: [...fitted, ...images.filter((_, i) => isHeld(i))], fitImages: fitted.length };
}
