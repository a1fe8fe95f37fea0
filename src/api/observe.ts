/** Calibration in parts: statistics of some of the images, to be merged by `quantize` with `stats`. */
import { availableParallelism } from 'node:os';
import { collect } from '../calibrate/collect.js';
import { ChannelStatistics } from '../calibrate/statistics.js';
import { InputError, UsageError } from '../errors.js';
import { applyRecipe } from '../images/preprocess/recipe.js';
import { addedRows, observedNodes } from '../quantize/index.js';
import { drawImages } from './draw-images.js';
import { normalizationOf } from './float-input.js';
import { hashFile } from './hash.js';
import { watched } from './long-work.js';
import { checkInputs } from './inputs.js';
import { checkOutputs } from './outputs.js';
import type { Shard } from './shard.js';
import type { SkippedImage } from './summary.js';
import { importAndChooseRecipe } from './recipe.js';
import type { QuantizeRequest } from './requests.js';
import { saveStatistics, statisticsSubject } from './statistics-file.js';

export interface ObserveRequest extends Pick<
  QuantizeRequest,
  'numImages' | 'preprocess' | 'outputs' | 'threads' | 'onProgress' | 'onNotice' | 'signal'
> {
  readonly images: string;
  /** Path of the file of statistics to write. */
  readonly saveStats: string;
  /** Which part of the images. */
  readonly shard: Shard;
}

export interface ObserveSummary {
  readonly saveStats: string;
  readonly shard: Shard;
  readonly images: number;
  readonly skipped: readonly SkippedImage[];
}

/** Images that are held at a time. */
const CHUNK = 256;

/**
 * Runs the float model over one shard of the calibration images (all of them, or `numImages`) and saves what is seen:
 * `quantize` chooses ranges on the statistics of all shards.
 *
 * @throws InputError where the model or the images cannot be used, or the file cannot be written
 */
export async function observe(model: string, given: ObserveRequest): Promise<ObserveSummary> {
  const request = watched(given);
  const { saveStats, shard, onNotice: notice = () => undefined, onProgress } = request;
  const threads = request.threads ?? availableParallelism();
  checkInputs([model], []);
  checkOutputs([{ option: '--save-stats', path: saveStats, kind: 'file of statistics' }], [model, request.images]);
  const { imported, recipe } = await importAndChooseRecipe(model, { ...request, threads }, notice);
  const { graph } = imported;
  const normalization = normalizationOf(recipe);
  const subject = statisticsSubject(await hashFile(model), graph, normalization.mean, normalization.std);
  const nodes = new Set(observedNodes(graph).map((node) => node.id));
  const statistics = new Map<string, ChannelStatistics>();
  const observeAll = async (images: readonly Uint8Array[]): Promise<void> => {
    const wanted = { nodes, images: images.length, histograms: true };
    const notComputed = { added: addedRows(graph) };
    const pass = { graph, notComputed, images, normalization, statistics: wanted, samples: new Map() };
    const collected = await collect({ ...pass, runtime: { threads } });
    collected.samples.close();
    for (const [id, one] of collected.statistics) {
      const known = statistics.get(id);
      if (known === undefined) statistics.set(id, one);
      else known.merge(one);
    }
  };
  const drawn = await drawImages(request.images, request.numImages ?? Infinity, shard);
  drawn.notices.forEach(notice);
  const skipped: SkippedImage[] = [];
  let [seen, held] = [0, [] as Uint8Array[]];
  for await (const { path, image } of drawn.images) {
    if (image instanceof InputError) skipped.push({ path, reason: image.message });
    else held.push(applyRecipe(image, recipe, recipe.mean.length));
    if (held.length === CHUNK) {
      await observeAll(held);
      [seen, held] = [seen + held.length, []];
    }
    onProgress?.('calibrate', seen + held.length + skipped.length, drawn.count);
  }
  if (held.length > 0) await observeAll(held);
  const images = seen + held.length;
  if (images === 0)
    throw new UsageError(
      `Shard ${shard.index}/${shard.count} of ${request.images} has no usable image: ` +
        `${skipped[0]?.reason ?? 'there are more shards than images'}`,
    );
  saveStatistics(saveStats, statistics, subject, { shard: { ...shard, images: drawn.digest } });
  return { saveStats, shard, images, skipped };
}
