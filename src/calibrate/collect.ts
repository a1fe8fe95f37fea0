import type { Graph, GraphNode } from '../graph/types.js';
import { partToOnnx } from '../graph/write.js';
import { cutGraph } from './parts.js';
import type { GraphPart } from './parts.js';
import type { Observation, Observed } from './observation.js';
import { RowStore, type Rows } from './row-store.js';
import { openFloatPool } from './runtime.js';
import type { FloatModel } from './runtime.js';
import { ChannelStatistics } from './statistics.js';

/** What one pass of the float model over the calibration images gathers. */
export interface Collected {
  /** Statistics of each node asked for, per channel. */
  readonly statistics: Map<string, ChannelStatistics>;
  /** Sampled rows of each node asked for: [images·sampled rows, cols], images in order. To be closed. */
  readonly samples: Rows;
  /** The float outputs of every image; none where they were handed to `onOutput`. */
  readonly logits: Float32Array[];
  readonly runtime: string;
}

/** What the float model's input is made with: (p/255 − mean)/std, per channel. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

interface CollectListeners {
  /** Takes the float outputs of an image, which are not kept then. */
  readonly onOutput?: (values: Float32Array, image: number) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Makes the value that a node is given for an image: [rows, cols]; the caller takes the memory. */
export type GivenValue = (image: number) => Float32Array | Promise<Float32Array> | 'zeros';

/** A value that is the first rows of another's. */
export interface FirstRows {
  /** Id of the node that has them. */
  readonly of: string;
  readonly count: number;
}

/** Values that there are without computing them. */
interface NotComputed {
  /** Node id → the value that the node is given. */
  readonly given?: ReadonlyMap<string, GivenValue>;
  /** Id → rows of the graph's values that may be asked for under an id of their own. */
  readonly added?: ReadonlyMap<string, FirstRows>;
}

export interface CollectRequest {
  readonly graph: Graph;
  /** u8 HWC pixels of each image, of the graph's input size. */
  readonly images: readonly Uint8Array[];
  readonly normalization: Normalization;
  readonly statistics: StatisticsRequest;
  /** Node id → which rows of its value to keep for image i. */
  readonly samples: ReadonlyMap<string, (image: number) => Int32Array>;
  readonly notComputed?: NotComputed;
  readonly runtime: RuntimeSettings;
  readonly listeners?: CollectListeners;
}

interface StatisticsRequest {
  /** Node ids to gather statistics of. */
  readonly nodes: ReadonlySet<string>;
  /** Statistics come from the first so many images: the rest are held out. */
  readonly images: number;
  /** Whether the range method needs histograms. */
  readonly histograms: boolean;
}

/** Nothing is observed. */
export const NO_STATISTICS: StatisticsRequest = { nodes: new Set(), images: 0, histograms: false };

interface RuntimeSettings {
  readonly threads: number;
  /** Most weights of one part, in bytes; default: see `cutGraph`. */
  readonly partBytes?: number;
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
    const normalized = Float32Array.from({ length: 256 }, (_, p) => p * scale - shift);
    for (let i = c, to = c * area; i < pixels.length; i += channels) planes[to++] = normalized[pixels[i]];
  }
  return planes;
}

/**
 * Runs the float graph on every image once and keeps statistics and sampled rows only. A large graph is run in parts,
 * one after the other, each on all images.
 */
export async function collect(request: CollectRequest): Promise<Collected> {
  const { graph, images, listeners } = request;
  const { partBytes: weights } = request.runtime;
  const parts = cutGraph(graph, weights === undefined ? {} : { weights });
  const pass = new Pass(request);
  try {
    for (const [p, part] of parts.entries()) {
      const readLater = new Set(parts.slice(p + 1).flatMap(({ inputs }) => inputs));
      const report = (i: number): void =>
        listeners?.onProgress?.(Math.floor((p * images.length + i + 1) / parts.length), images.length);
      await pass.run(part, readLater, report);
    }
  } catch (error) {
    pass.close();
    throw error;
  }
  const { statistics, samples, logits, runtime } = pass;
  return { statistics, samples, logits, runtime };
}

/** A pass over the images, part by part: what is gathered, and what later parts still read. */
class Pass {
  readonly statistics: Map<string, ChannelStatistics>;
  readonly samples: RowStore;
  readonly logits: Float32Array[] = [];
  runtime = '';

  readonly #request: CollectRequest;
  readonly #nodes: ReadonlyMap<string, GraphNode>;
  readonly #given: NonNullable<NotComputed['given']>;
  /** Under which ids a node's value is kept: its own comes first. */
  readonly #views: ReadonlyMap<string, View[]>;
  /** How many sampled numbers of each node have been written. */
  readonly #written = new Map<string, number>();
  /** What later parts read of earlier ones, by node: [images·rows, cols]. */
  readonly #carried = new Map<string, RowStore>();

  constructor(request: CollectRequest) {
    const { graph, images, statistics, samples } = request;
    this.#request = request;
    this.#given = request.notComputed?.given ?? new Map<string, never>();
    this.#nodes = new Map(graph.nodes.map((node) => [node.id, node]));
    this.#views = new Map(graph.nodes.map(({ id }) => [id, [{ id, first: null }]]));
    for (const [id, { of, count }] of request.notComputed?.added ?? []) {
      const isAll = count === this.#nodes.get(of)!.rows;
      if (this.#isAsked(id)) this.#views.get(of)!.push({ id, first: isAll ? null : count });
    }
    this.statistics = new Map(
      [...statistics.nodes].map((id) => [id, new ChannelStatistics(this.#colsOf(id), statistics.histograms)]),
    );
    const sampled = (rowsOf: (image: number) => Int32Array): number =>
      images.reduce((n, _, i) => n + rowsOf(i).length, 0);
    this.samples = new RowStore(new Map([...samples].map(([id, rowsOf]) => [id, sampled(rowsOf) * this.#colsOf(id)])));
  }

  /** Runs one part on every image. */
  async run(part: GraphPart, readLater: ReadonlySet<string>, report: (image: number) => void): Promise<void> {
    const { graph, images, runtime } = this.#request;
    const given = this.#given;
    const ids = part.nodes.map(({ id }) => id);
    const seen = ids.filter((id) => this.#views.get(id)!.some((view) => this.#isAsked(view.id)));
    const carriedOn = part.carried.filter((id) => !given.has(id));
    const outputs = [...new Set([...seen, ...carriedOn])];
    const computed = part.nodes.filter(({ id }) => !given.has(id));
    const inputs = [...part.inputs, ...ids.filter((id) => given.has(id))];
    const model = await openFloatPool(partToOnnx(graph, computed, inputs, outputs), runtime.threads);
    this.runtime = model.runtime;
    for (const id of carriedOn) this.#carried.set(id, new RowStore(new Map([[id, images.length * this.#sizeOf(id)]])));
    try {
      // While one image is observed, others are computed; all are asked for, and observed, in their order.
      const asked: Promise<Map<string, Observed[]>>[] = [];
      const ask = async (i: number): Promise<Map<string, Observed[]>> =>
        model.observe(
          await this.#feeds(model, inputs, i),
          new Map(outputs.map((id) => [id, this.#observations(id, i, carriedOn.includes(id))])),
        );
      for (const i of images.keys()) {
        while (asked.length < images.length && asked.length <= i + model.lanes) {
          const run = ask(asked.length);
          run.catch(() => undefined); // it is awaited below, unless an earlier one fails
          asked.push(run);
        }
        const values = await asked[i];
        delete asked[i];
        for (const id of seen) this.#keep(id, values.get(id)!);
        this.#output(values.get(graph.output)?.[0].whole, i);
        for (const id of carriedOn) this.#carried.get(id)!.write(id, i * this.#sizeOf(id), values.get(id)![0].whole!);
        report(i);
      }
    } finally {
      await model.close();
    }
    for (const id of this.#carried.keys()) if (!readLater.has(id)) this.#drop(id);
  }

  /** After a failure: nothing is left of it. */
  close(): void {
    this.samples.close();
    for (const id of this.#carried.keys()) this.#drop(id);
  }

  #drop(id: string): void {
    this.#carried.get(id)!.close();
    this.#carried.delete(id);
  }

  #output(values: Float32Array | null | undefined, i: number): void {
    const onOutput = this.#request.listeners?.onOutput;
    if (!values) return;
    if (onOutput === undefined) this.logits.push(values);
    else onOutput(values, i);
  }

  /** What a part reads for image i: values of other parts, [rows, cols], and the image where it begins with it. */
  async #feeds(model: FloatModel, inputs: readonly string[], i: number): Promise<Record<string, Feed>> {
    const { graph, images, normalization } = this.#request;
    const { channels, height, width, name } = graph.input;
    const feeds: Record<string, Feed> = {};
    const carried = (id: string): Float32Array =>
      this.#carried.get(id)!.read(id, i * this.#sizeOf(id), (i + 1) * this.#sizeOf(id));
    for (const id of inputs) {
      const { rows, cols } = this.#node(id);
      feeds[id] = { data: (await this.#given.get(id)?.(i)) ?? carried(id), shape: [rows, cols] };
    }
    if (model.inputNames.includes(name)) {
      const data = normalizePixels(images[i], channels, normalization.mean, normalization.std);
      feeds[name] = { data, shape: [1, channels, height, width] };
    }
    return feeds;
  }

  /** What is wanted of a node's value for image i, by its views. All of it is looked at once, whoever asks. */
  #observations(id: string, i: number, isCarried: boolean): Observation[] {
    const { graph, statistics, samples } = this.#request;
    const views = this.#views.get(id)!;
    const hasMoments = (view: View): boolean => i < statistics.images && this.statistics.has(view.id);
    return views.map((view, v) => {
      const moments =
        v === 0 ? views.some((one) => one.first === null && hasMoments(one)) : view.first !== null && hasMoments(view);
      return {
        channels: this.#node(id).cols,
        first: view.first,
        moments,
        rows: samples.get(view.id)?.(i) ?? null,
        whole: (v === 0 && (isCarried || id === graph.output)) || (moments && statistics.histograms),
      };
    });
  }

  /** Keeps what was observed of a node's value for image i. */
  #keep(id: string, observed: readonly Observed[]): void {
    for (const [v, view] of this.#views.get(id)!.entries()) {
      const { moments, whole } = observed[view.first === null ? 0 : v];
      if (moments !== null) this.statistics.get(view.id)?.add(moments, whole ?? undefined);
      const { rows } = observed[v];
      if (rows === null) continue;
      const at = this.#written.get(view.id) ?? 0;
      this.samples.write(view.id, at, rows);
      this.#written.set(view.id, at + rows.length);
    }
  }

  #isAsked(id: string): boolean {
    const { graph, statistics, samples } = this.#request;
    return statistics.nodes.has(id) || samples.has(id) || id === graph.output;
  }

  /** Elements of a node's value. */
  #sizeOf(id: string): number {
    const { rows, cols } = this.#node(id);
    return rows * cols;
  }

  #colsOf(id: string): number {
    return this.#node(this.#request.notComputed?.added?.get(id)?.of ?? id).cols;
  }

  #node(id: string): GraphNode {
    return this.#nodes.get(id)!;
  }
}

/** An id under which a node's value is kept: its first rows, or all (null). */
interface View {
  readonly id: string;
  readonly first: number | null;
}

interface Feed {
  readonly data: Float32Array | 'zeros';
  readonly shape: number[];
}
