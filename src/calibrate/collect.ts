import type { Graph } from '../graph/types.js';
import { graphToOnnx } from '../graph/write.js';
import { ChannelStatistics } from './statistics.js';
import { openFloatModel } from './runtime.js';

/** What one pass of the float model over the calibration images gathers. */
export interface Collected {
  /** Statistics of each node asked for, per channel. */
  readonly statistics: Map<string, ChannelStatistics>;
  /** Sampled rows of each node asked for: [images·sampled rows, cols], images in order. */
  readonly samples: Map<string, Float32Array>;
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
  /** Node id → which rows of its value to keep for image i. */
  readonly samples: ReadonlyMap<string, (image: number) => Int32Array>;
  readonly threads: number;
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

/** Runs the float graph on every image once, keeping statistics and sampled rows only. */
export async function collect(request: CollectRequest): Promise<Collected> {
  const { graph, images } = request;
  const { channels, height, width, name } = graph.input;
  const wanted = [...new Set([...request.statistics, ...request.samples.keys(), graph.output])];
  const model = await openFloatModel(graphToOnnx(graph, wanted), { threads: request.threads });
  const cols = new Map(graph.nodes.map((node) => [node.id, node.cols]));
  const statistics = new Map([...request.statistics].map((id) => [id, new ChannelStatistics(cols.get(id)!, request.histograms)]));
  const rows = new Map([...request.samples.keys()].map((id) => [id, [] as Float32Array[]]));
  const logits: Float32Array[] = [];
  try {
    for (const [i, pixels] of images.entries()) {
      const data = normalizePixels(pixels, channels, request.mean, request.std);
      const values = await model.run({ [name]: { data, shape: [1, channels, height, width] } }, wanted);
      logits.push(values.get(graph.output)!);
      if (i < request.statisticsImages) for (const [id, statistic] of statistics) statistic.observe(values.get(id)!);
      for (const [id, rowsOf] of request.samples) rows.get(id)!.push(takeRows(values.get(id)!, cols.get(id)!, rowsOf(i)));
      request.onProgress?.(i + 1, images.length);
    }
  } finally {
    await model.close();
  }
  const samples = new Map([...rows].map(([id, parts]) => [id, concatenate(parts)]));
  return { statistics, samples, logits, runtime: model.runtime };
}

function takeRows(data: Float32Array, cols: number, rows: Int32Array): Float32Array {
  const taken = new Float32Array(rows.length * cols);
  rows.forEach((r, i) => taken.set(data.subarray(r * cols, (r + 1) * cols), i * cols));
  return taken;
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
