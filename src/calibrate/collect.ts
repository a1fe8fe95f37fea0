import type { Graph } from '../graph/types.js';
import { partToOnnx } from '../graph/write.js';
import { cutGraph } from './parts.js';
import { RowStore } from './row-store.js';
import { openFloatModel } from './runtime.js';
import { ChannelStatistics } from './statistics.js';

/** What one pass of the float model over the calibration images gathers. */
export interface Collected {
  /** Statistics of each node asked for, per channel. */
  readonly statistics: Map<string, ChannelStatistics>;
  /** Sampled rows of each node asked for: [images·sampled rows, cols], images in order. To be closed. */
  readonly samples: RowStore;
  /** The float logits of every image. */
  readonly logits: Float32Array[];
  readonly runtime: string;
}

export interface CollectRequest {
  readonly graph: Graph;
  /** u8 HWC pixels of each image, of the graph's input size. */
  readonly images: readonly Uint8Array[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Node ids to gather statistics of. */
  readonly statistics: ReadonlySet<string>;
  /** Statistics come from the first so many images: the rest are held out. */
  readonly statisticsImages: number;
  /** Whether the range method needs histograms. */
  readonly histograms: boolean;
  /** Node id → the value that it is given for image i, instead of computing it: [rows, cols]. */
  readonly given?: ReadonlyMap<string, (image: number) => Float32Array | Promise<Float32Array>>;
  /** Node id → which rows of its value to keep for image i. */
  readonly samples: ReadonlyMap<string, (image: number) => Int32Array>;
  readonly threads: number;
  /** Most weights of one part, in bytes; default: see `cutGraph`. */
  readonly partBytes?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** (p/255 − mean)/std as planar float32 [channels, height, width], the float model's input. */
export function normalizePixels(
  pixels: Uint8Array,
  channels: number,
  mean: readonly number[],
  std: readonly number[],
): Float32Array {
  const area = pixels.length / channels;
  const planes = new Float32Array(pixels.length);
  for (let c = 0; c < channels; c++) {
    const scale = 1 / (255 * std[c]);
    const shift = mean[c] / std[c];
    for (let i = 0; i < area; i++) planes[c * area + i] = pixels[i * channels + c] * scale - shift;
  }
  return planes;
}

/**
 * Runs the float graph on every image once, keeping statistics and sampled rows only. A large graph is run in parts,
 * one after the other, each on all images.
 */
export async function collect(request: CollectRequest): Promise<Collected> {
  const { graph, images, given = new Map<string, never>() } = request;
  const { channels, height, width, name } = graph.input;
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const statistics = new Map(
    [...request.statistics].map((id) => [id, new ChannelStatistics(byId.get(id)!.cols, request.histograms)]),
  );
  const samples = new RowStore(
    new Map(
      [...request.samples].map(([id, rowsOf]) => [
        id,
        images.reduce((n, _, i) => n + rowsOf(i).length, 0) * byId.get(id)!.cols,
      ]),
    ),
  );
  const written = new Map<string, number>();
  const logits: Float32Array[] = [];
  /** What later parts read of earlier ones, of every image. */
  const carried = images.map(() => new Map<string, Float32Array>());
  const parts = cutGraph(graph, request.partBytes);
  let runtime = '';
  try {
    for (const [p, part] of parts.entries()) {
      const seen = part.nodes
        .map(({ id }) => id)
        .filter((id) => statistics.has(id) || request.samples.has(id) || id === graph.output);
      const carriedOn = part.carried.filter((id) => !given.has(id));
      const outputs = [...new Set([...seen, ...carriedOn])];
      const readLater = new Set(parts.slice(p + 1).flatMap(({ inputs }) => inputs));
      const computed = part.nodes.filter(({ id }) => !given.has(id));
      const inputs = [...part.inputs, ...part.nodes.map(({ id }) => id).filter((id) => given.has(id))];
      const model = await openFloatModel(partToOnnx(graph, computed, inputs, outputs), { threads: request.threads });
      ({ runtime } = model);
      try {
        for (const [i, pixels] of images.entries()) {
          const feeds: Record<string, { data: Float32Array; shape: number[] }> = {};
          for (const id of inputs) {
            feeds[id] = {
              data: (await given.get(id)?.(i)) ?? carried[i].get(id)!,
              shape: [byId.get(id)!.rows, byId.get(id)!.cols],
            };
          }
          if (model.inputNames.includes(name)) {
            feeds[name] = {
              data: normalizePixels(pixels, channels, request.mean, request.std),
              shape: [1, channels, height, width],
            };
          }
          const values = await model.run(feeds, outputs);
          for (const id of seen) {
            const value = values.get(id)!;
            if (i < request.statisticsImages) statistics.get(id)?.observe(value);
            const rowsOf = request.samples.get(id);
            if (rowsOf === undefined) continue;
            const rows = takeRows(value, byId.get(id)!.cols, rowsOf(i));
            const at = written.get(id) ?? 0;
            samples.write(id, at, rows);
            written.set(id, at + rows.length);
          }
          if (values.has(graph.output)) logits.push(values.get(graph.output)!);
          for (const id of carriedOn) carried[i].set(id, values.get(id)!);
          for (const id of carried[i].keys()) if (!readLater.has(id)) carried[i].delete(id);
          request.onProgress?.(Math.floor((p * images.length + i + 1) / parts.length), images.length);
        }
      } finally {
        await model.close();
      }
    }
  } catch (error) {
    samples.close();
    throw error;
  }
  return { statistics, samples, logits, runtime };
}

function takeRows(data: Float32Array, cols: number, rows: Int32Array): Float32Array {
  const taken = new Float32Array(rows.length * cols);
  rows.forEach((r, i) => taken.set(data.subarray(r * cols, (r + 1) * cols), i * cols));
  return taken;
}
