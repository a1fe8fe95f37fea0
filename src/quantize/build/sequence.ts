import type { Collected } from '../../calibrate/collect.js';
import type { Products } from '../../calibrate/products.js';
import { InputError } from '../../errors.js';
import { imageValue } from '../../engine/values.js';
import type { OpRunner, Value } from '../../engine/types.js';
import { operandsOf as nodeOperands } from '../../graph/nodes.js';
import type {
  ActivationNode,
  AttentionNode,
  AttentionView,
  Graph,
  GatherNode,
  GraphNode,
  L2NormNode,
  LayerNormNode,
  LinearNode,
  PatchEmbedNode,
} from '../../graph/types.js';
import { activationKnots } from '../../kernels/prepare.js';
import { WIDE_LIMIT } from '../../program/limits.js';
import { operandsOf } from '../../program/operands.js';
import { canShareWeights } from '../../program/ops/linear.js';
import type { AttentionOp, LinearOp, Op, OperandView, Output, Program, ValueId } from '../../program/types.js';
import { fitLinear, productWithMean, type Fit, type WeightPlane } from '../fit/weight-correction.js';
import { encodeMultipliers, encodeOffsets } from './multipliers.js';
import { publishedFit, publishedGelu, publishedScoreScale, publishedSoftmax } from './published.js';
import type { Demand, Plan } from '../plan.js';
import type { AttentionReport, LayerReport } from '../report.js';
import type { SampleRows } from '../fit/samples.js';
import { CODE_LIMIT, type ChannelScales, type OperandScales } from '../decide/scales.js';
import { SCORE_BITS, SCORE_UNIT, scoreBias, scoreMultipliers, softmaxKind } from './scores.js';
import type { Sensitivities } from '../decide/sensitivity.js';
import type { SequenceSettings } from '../settings.js';
import { attentionColumn, codesSource, uniformScales, type Target, type ValueScales } from '../decide/value-scales.js';

export interface SequenceInput {
  readonly graph: Graph;
  /** Linear layers that share the weights of another one before them, by id. */
  readonly twins: ReadonlyMap<string, string>;
  readonly plan: Plan;
  readonly collected: Collected;
  readonly images: readonly Uint8Array[];
  /** Images from here on are held out: they run along, but nothing is fitted to them. */
  readonly fitImages: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly samples: SampleRows;
  readonly runner: OpRunner;
  readonly products: Products;
  readonly settings: SequenceSettings;
  readonly scales: ValueScales;
  readonly sensitivities: Sensitivities;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface SequenceResult {
  readonly program: Program;
  /** Real value of one step of the output. */
  readonly outputScale: number;
  /** The integer output of every image. */
  readonly outputs: Int32Array[];
  readonly layers: LayerReport[];
  readonly attentions: AttentionReport[];
}

/** What a layer with the same weights takes over. */
interface Shareable {
  readonly fit: Fit;
  readonly input: Built;
  /** What the codes were multiplied by for the fit. */
  readonly unit: number;
}

interface SampledInputs {
  /** [rows, K]: codes less their zero, of dynamic rows times their scales over `unit`. */
  readonly x: Float32Array;
  readonly rowWeight: Float32Array;
  readonly heldOut: Uint8Array;
  readonly unit: number;
  /** The rows of each image. */
  readonly rowsOf: readonly Int32Array[];
}

/** A value of the program under construction, what it means, and what it is on every calibration image. */
interface Built extends ChannelScales {
  readonly value: ValueId;
  readonly out: Output;
  readonly rows: number;
  readonly cols: number;
}

const WIDE: Output = { type: 'i32' };
const INPUT_TYPES: readonly Output['type'][] = ['u8', 'i16', 'rows'];

/**
 * Builds the integer program layer by layer, in the graph's order, running all calibration images through every op as
 * soon as it is made: each linear layer is fitted to the integer inputs that it will really get. Floating point ends here.
 */
export async function quantizeSequentially(input: SequenceInput): Promise<SequenceResult> {
  return new Sequence(input).run();
}

class Sequence {
  private readonly ops: Op[] = [];
  private readonly built = new Map<string, Built>();
  /** Values of all images, by value id; dropped after their last use. */
  private readonly values = new Map<ValueId, Value[]>();
  private readonly programInput: Program['input'];
  /** What linear layers were fitted to, by id: another may share the weights. */
  private readonly shared = new Map<string, Shareable>();
  private readonly layers: LayerReport[] = [];
  private readonly attentions: AttentionReport[] = [];
  private readonly names = new Set<string>();
  /** Of weights in the program: the op that they are of. */
  private readonly weightsAt = new Map<Int8Array, number>();

  constructor(private readonly input: SequenceInput) {
    const { height, width, channels } = input.graph.input;
    this.programInput = { height, width, channels };
    this.values.set(
      0,
      input.images.map((pixels) => imageValue(this.programInput, pixels)),
    );
  }

  async run(): Promise<SequenceResult> {
    const { graph, plan } = this.input;
    const lastUse = new Map<string, number>();
    graph.nodes.forEach((node, i) => {
      for (const id of nodeOperands(node)) lastUse.set(id, i);
      lastUse.set(node.id, Math.max(lastUse.get(node.id) ?? 0, i));
    });
    lastUse.set(graph.output, graph.nodes.length);
    for (const { add, other } of plan.residual.values()) {
      lastUse.set(
        other,
        Math.max(
          lastUse.get(other)!,
          graph.nodes.findIndex((node) => node.id === add),
        ),
      );
    }
    for (const [i, node] of graph.nodes.entries()) {
      await this.build(node);
      for (const [id, last] of lastUse) if (last === i) this.release(id);
      this.input.onProgress?.(i + 1, graph.nodes.length);
    }
    const output = this.wide(graph.output);
    const outputs = this.values.get(output.value)!.map((value) => (value.data as Int32Array).slice());
    const program: Program = { input: this.programInput, ops: this.ops, output: output.value };
    return { program, outputScale: this.wideScale, outputs, layers: this.layers, attentions: this.attentions };
  }

  private async build(node: GraphNode): Promise<void> {
    const form = this.input.plan.form.get(node.id)!;
    switch (node.op) {
      case 'patchEmbed':
        return this.buildPatchEmbed(node);
      case 'linear':
        return this.buildLinear(node, form);
      case 'layerNorm':
      case 'l2Norm':
        return this.buildNorm(node, form);
      case 'activation':
        return this.buildActivation(node, form);
      case 'attention':
        return this.buildAttention(node, form);
      case 'gather':
        return this.buildGather(node, form);
      case 'constant':
        return this.buildConstant(node.id, node.name, node.rows, node.cols, node.value, form);
      case 'add': {
        if (this.built.has(key(node.id, 'wide'))) return; // fused into the linear layer before it
        const { name, rows, cols } = node;
        const op: Op = {
          op: 'add',
          name: this.unique(name),
          rows,
          cols,
          out: WIDE,
          a: this.wide(node.a).value,
          b: this.wide(node.b).value,
        };
        return this.emitWide(node.id, op);
      }
      case 'addConst': {
        const { name, rows, cols } = node;
        const a = this.wide(node.x).value;
        const b = this.emit(this.constantOp(`${name}.constant`, rows, cols, node.value));
        return this.emitWide(node.id, { op: 'add', name: this.unique(name), rows, cols, out: WIDE, a, b });
      }
      case 'affine': {
        const { multiplier, shift } = encodeMultipliers(node.scale, node.name);
        const offset = encodeOffsets(
          Float64Array.from(node.shift, (t) => t / this.wideScale),
          shift,
        );
        const { name, rows, cols } = node;
        const x = this.wide(node.x).value;
        return this.emitWide(node.id, {
          op: 'rescale',
          name: this.unique(name),
          rows,
          cols,
          out: WIDE,
          x,
          multiplier,
          offset,
          shift,
        });
      }
      case 'meanRows': {
        const { multiplier, shift } = encodeMultipliers(new Array<number>(node.cols).fill(1 / node.group), node.name);
        const { name, rows, cols, group } = node;
        const x = this.wide(node.x).value;
        return this.emitWide(node.id, {
          op: 'meanRows',
          name: this.unique(name),
          rows,
          cols,
          out: WIDE,
          x,
          group,
          multiplier,
          shift,
        });
      }
    }
  }

  // ---------------------------------------------------------------------------------------------- values

  /** Appends an op and runs it on every image. */
  private emit(made: Op): ValueId {
    const op = this.tied(made);
    const operands = operandsOf(op).map((id) => this.values.get(id)!);
    const loaded = this.input.runner.load(
      op,
      operands.map((values) => values[0]),
      this.programInput,
    );
    const results: Value[] = [];
    for (let i = 0; i < this.input.images.length; i++) results.push(loaded.run(operands.map((values) => values[i])));
    loaded.free();
    this.ops.push(op);
    this.values.set(this.ops.length, results);
    return this.ops.length;
  }

  /** The op, naming the one before it whose weights it has. */
  private tied(op: Op): Op {
    if (op.op !== 'linear') return op;
    const weightsOf = this.weightsAt.get(op.weight);
    if (weightsOf === undefined) this.weightsAt.set(op.weight, this.ops.length);
    return weightsOf !== undefined && canShareWeights(op, this.ops[weightsOf]) ? { ...op, weightsOf } : op;
  }

  private get wideScale(): number {
    return this.input.scales.wideScale;
  }

  private emitWide(id: string, op: Op): void {
    this.define(id, 'wide', this.emit(op), op, uniformScales(op.cols, this.wideScale));
  }

  private define(id: string, form: Demand, value: ValueId, op: Op, scales: ChannelScales): void {
    this.built.set(key(id, form), { value, out: op.out, rows: op.rows, cols: op.cols, ...scales });
  }

  private release(id: string): void {
    for (const form of ['codes', 'operand', 'activation', 'wide'] as const) {
      const built = this.built.get(key(id, form));
      if (built === undefined) continue;
      // A fused add shares its value with no other node; a gather's sources have their own.
      const shared = [...this.built].some(([k, other]) => other.value === built.value && k !== key(id, form));
      this.built.delete(key(id, form));
      if (!shared) this.values.delete(built.value);
    }
  }

  private unique(name: string): string {
    let candidate = name;
    for (let i = 2; this.names.has(candidate); i++) candidate = `${name}.${i}`;
    this.names.add(candidate);
    return candidate;
  }

  private wide(id: string): Built {
    const built = this.built.get(key(id, 'wide'));
    if (built === undefined) throw new Error(`no wide value of ${id}`);
    return built;
  }

  /** The value in the form that a linear layer, attention or an activation reads; made from the wide one where needed. */
  private inForm(id: string, form: Exclude<Demand, 'wide'>, cols: number): Built {
    const known = this.built.get(key(id, form));
    if (known !== undefined) return known;
    const wide = this.wide(id);
    const { out, scale, center } = this.input.scales.target(id, form, cols);
    const node = this.input.plan.nodes.get(id)!;
    const rows = (wide.rows * wide.cols) / scale.length;
    const { multiplier, shift } = encodeMultipliers(
      scale.map((s) => this.wideScale / s),
      node.name,
    );
    const offset = encodeOffsets(
      center.map((t, c) => -t / scale[c]),
      shift,
    );
    const op: Op = {
      op: 'rescale',
      name: this.unique(`${node.name}.${form}`),
      rows,
      cols: scale.length,
      out,
      x: wide.value,
      multiplier,
      offset,
      shift,
    };
    this.define(id, form, this.emit(op), op, finishScales(out, { scale, center }));
    return this.built.get(key(id, form))!;
  }

  // ---------------------------------------------------------------------------------------------- ops

  private constantOp(name: string, rows: number, cols: number, value: Float32Array): Op {
    const data = Int32Array.from(value, (v) => Math.round(v / this.wideScale));
    return { op: 'constant', name: this.unique(name), rows, cols, out: WIDE, data };
  }

  private buildConstant(id: string, name: string, rows: number, cols: number, value: Float32Array, form: Demand): void {
    if (form !== 'operand') return this.emitWide(id, this.constantOp(name, rows, cols, value));
    const scales = this.input.scales.target(id, 'operand', cols);
    const data = Int8Array.from(value, (v, i) =>
      Math.max(-CODE_LIMIT, Math.min(CODE_LIMIT, Math.round((v - scales.center[i % cols]) / scales.scale[i % cols]))),
    );
    const op: Op = { op: 'constant', name: this.unique(name), rows, cols, out: { type: 'i8' }, data };
    this.define(id, 'operand', this.emit(op), op, scales);
  }

  private buildGather(node: GatherNode, wanted: Demand): void {
    const { name, rows, cols, piece, index } = node;
    // A source that cannot be written in the wanted form is wide, and so is what is gathered from it.
    const form = node.sources.some((id) => this.built.has(key(id, wanted))) ? wanted : 'wide';
    const sources = node.sources.map((id) => (form === 'wide' ? this.wide(id) : this.inForm(id, form, cols)));
    const [first] = sources;
    const fill = first.out.type === 'u8' ? first.out.zero : 0;
    const op: Op = {
      op: 'gather',
      name: this.unique(name),
      rows,
      cols,
      out: first.out,
      sources: sources.map((s) => s.value),
      piece,
      index,
      fill,
    };
    this.define(node.id, form, this.emit(op), op, { scale: first.scale, center: first.center });
  }

  private buildNorm(node: LayerNormNode | L2NormNode, form: Demand): void {
    const { name, rows, cols } = node;
    const isLayerNorm = node.op === 'layerNorm';
    const target = this.input.scales.target(node.id, form, cols);
    const unit = (isLayerNorm ? Math.sqrt(cols) : 1) * 2 ** -30;
    const gamma = isLayerNorm ? node.gamma : new Float32Array(cols).fill(1);
    const factors = Float64Array.from(gamma, (g, c) => (g * unit) / target.scale[c]);
    const { multiplier, shift } = encodeMultipliers(factors, name);
    const offset = encodeOffsets(
      Float64Array.from(gamma, (_, c) => ((isLayerNorm ? node.beta[c] : 0) - target.center[c]) / target.scale[c]),
      shift,
    );
    const epsilon = isLayerNorm ? node.epsilon * cols : node.epsilon ** 2;
    const common = {
      name: this.unique(name),
      rows,
      cols,
      out: target.out,
      x: this.wide(node.x).value,
      multiplier,
      offset,
      shift,
    };
    const op: Op =
      this.input.scales.published && isLayerNorm
        ? { op: 'paperNorm', ...common }
        : {
            op: 'layerNorm',
            ...common,
            center: isLayerNorm,
            epsilon: BigInt(Math.round(epsilon / this.wideScale ** 2)),
          };
    this.define(node.id, form, this.emit(op), op, finishScales(op.out, target));
  }

  private buildActivation(node: ActivationNode, form: Demand): void {
    const { name, rows, cols, kind } = node;
    const x = this.inForm(node.x, 'activation', cols);
    if (x.out.type === 'i8') return this.buildPublishedGelu(node, x, form);
    const bits = -Math.log2(x.scale[0]);
    const exact = this.input.settings.options.kernels === 'lut';
    // 64 knots cover 4 units of GELU (H(4) = 0.0001), 8 of quick GELU, 16 of SiLU.
    const reach = kind === 'silu' ? 4 : kind === 'quickGelu' ? 3 : 2;
    const spacing = bits + reach - 6;
    const target = this.input.scales.target(node.id, form, cols);
    // 15 bits keep the products of codes within 32.
    const { multiplier, shift } = encodeMultipliers(
      target.scale.map((s) => x.scale[0] / s),
      name,
      form === 'codes' ? 15 : 31,
    );
    const op: Op = {
      op: 'activation',
      name: this.unique(name),
      rows,
      cols,
      out: target.out,
      x: x.value,
      knots: activationKnots(kind, exact, bits, spacing),
      spacing,
      multiplier,
      offset: encodeOffsets(
        target.center.map((t, c) => -t / target.scale[c]),
        shift,
      ),
      shift,
    };
    this.define(node.id, form, this.emit(op), op, finishScales(op.out, target));
  }

  private buildPublishedGelu({ id, name, rows, cols }: ActivationNode, x: Built, form: Demand): void {
    const target = this.input.scales.target(id, form, cols);
    const { scale, x0 } = publishedGelu(x.scale[0]);
    const { multiplier, shift } = encodeMultipliers(
      target.scale.map((s) => (scale * 2 ** -7) / s),
      name,
    );
    const offset = encodeOffsets(
      target.center.map((t, c) => -t / target.scale[c]),
      shift,
    );
    const op: Op = {
      op: 'paperGelu',
      name: this.unique(name),
      rows,
      cols,
      out: target.out,
      x: x.value,
      x0,
      multiplier,
      offset,
      shift,
    };
    this.define(id, form, this.emit(op), op, finishScales(op.out, target));
  }

  private buildAttention(node: AttentionNode, form: Demand): void {
    const { name, rows, cols } = node;
    const scales = this.input.scales.attention(node);
    const view = (v: AttentionView): OperandView => {
      const source = this.inForm(v.source, 'operand', this.input.plan.nodes.get(v.source)!.cols);
      return { x: source.value, stride: v.stride, rows: v.rows, offset: v.offset, headStride: v.headStride };
    };
    const target = this.input.scales.target(node.id, form, cols);
    const [q, k, v] = [view(node.q), view(node.k), view(node.v)];
    const { softmax, fractionBits, unit, weightUnit } = this.softmaxOf(node, scales, q, k);
    const factors = target.scale.map(
      (s, c) => (scales.v.scale[attentionColumn(node, scales.v.scale.length, c)] * weightUnit) / s,
    );
    const score = scoreMultipliers(
      scales.product.map((s, h) => (s * node.scale[h]) / unit),
      node,
    );
    const op: AttentionOp = {
      op: 'attention',
      name: this.unique(name),
      rows,
      cols,
      out: target.out,
      q,
      k,
      v,
      batch: node.batch,
      heads: node.heads,
      queries: node.queries,
      keys: node.keys,
      dim: node.dim,
      valueDim: node.valueDim,
      softmax,
      softmaxBits: this.input.scales.softmaxBits(node),
      fractionBits,
      scoreMultiplier: score.multiplier,
      scoreShift: score.shift,
      bias: node.bias === null ? null : scoreBias(node.bias, unit),
      biasBatch: node.biasBatch,
      biasHeads: node.biasHeads,
      ...encodeMultipliers(factors, name),
    };
    this.define(node.id, form, this.emit(op), op, finishScales(op.out, target));
    if (this.input.scales.published) return;
    this.attentions.push({
      name: op.name,
      softmaxBits: op.softmaxBits,
      sensitivity: this.input.sensitivities.softmax.get(node.id)?.error ?? null,
    });
  }

  /** The softmax, the real value of one step of its scores, and the unit of the weighted sums that it makes. */
  private softmaxOf(node: AttentionNode, { product }: OperandScales, q: OperandView, k: OperandView) {
    if (!this.input.scales.published) {
      return {
        softmax: softmaxKind(this.input.settings.options),
        fractionBits: SCORE_BITS,
        unit: SCORE_UNIT,
        weightUnit: 2 ** -23,
      } as const;
    }
    const [queries, keys] = [q, k].map((view) => this.values.get(view.x)!.slice(0, this.input.fitImages));
    const unit = publishedScoreScale(
      node,
      product,
      queries.map((value, i) => ({ q: value.data, k: keys[i].data })),
    );
    const softmax = publishedSoftmax(unit);
    return { softmax, fractionBits: 0, unit, weightUnit: 2 ** -(softmax.bits - 1) } as const;
  }

  private async buildPatchEmbed(node: PatchEmbedNode): Promise<void> {
    const { name, rows, cols, kernel, stride, pads, dilation, outSize } = node;
    const channels = this.programInput.channels;
    const inFeatures = kernel[0] * kernel[1] * channels;
    const patches = this.emit({
      op: 'patches',
      name: this.unique(`${name}.patches`),
      rows,
      cols: inFeatures,
      out: { type: 'u8', zero: 0 },
      kernel,
      stride,
      pad: [pads[0], pads[1]],
      dilation,
      outSize,
    });
    // A pixel p stands for (p/255 − mean)/std: the scale goes into the weights, the shift into the bias.
    const { mean, std } = this.input;
    const channel = (k: number) => k % channels;
    const codes: Built = {
      value: patches,
      out: { type: 'u8', zero: 0 },
      rows,
      cols: inFeatures,
      scale: Float64Array.from({ length: inFeatures }, (_, k) => 1 / (255 * std[channel(k)])),
      center: Float64Array.from({ length: inFeatures }, (_, k) => -mean[channel(k)] / std[channel(k)]),
    };
    const padding = paddingCorrection(node, channels, codes.center, this.programInput);
    const linear: LinearNode = {
      op: 'linear',
      id: node.id,
      name,
      rows,
      cols,
      x: '',
      weight: node.weight,
      bias: node.bias,
      inFeatures,
    };
    const { value, op } = await this.linear(
      linear,
      codes,
      { out: WIDE, ...uniformScales(cols, this.wideScale) },
      null,
      padding,
    );
    if (padding === null) return this.define(node.id, 'wide', value, op, uniformScales(cols, this.wideScale));
    const b = this.emit(this.constantOp(`${name}.padding`, rows, cols, padding));
    this.emitWide(node.id, { op: 'add', name: this.unique(`${name}.border`), rows, cols, out: WIDE, a: value, b });
  }

  private async buildLinear(node: LinearNode, form: Demand): Promise<void> {
    const codes = this.inForm(node.x, 'codes', node.inFeatures);
    const fused = this.input.plan.residual.get(node.id);
    // What is added to another value, or two planes' products to each other, is wide.
    const written = fused !== undefined || this.input.scales.weightPlanes(node) > 1 ? 'wide' : form;
    const target = this.input.scales.target(node.id, written, node.cols);
    const residual = fused === undefined ? null : this.wide(fused.other).value;
    const { value, op } = await this.linear(node, codes, target, residual, null);
    const id = fused?.add ?? node.id;
    this.define(id, written, value, op, target);
  }

  /**
   * Fits, rounds and emits one linear layer: an op for each plane of its weights, the second adding to the first one's.
   *
   * @param border [rows, cols] added after the layer, or null: not part of what it is fitted to
   */
  private async linear(
    node: LinearNode,
    codes: Built,
    target: Target,
    residual: ValueId | null,
    border: Float32Array | null,
  ): Promise<{ value: ValueId; op: LinearOp }> {
    const { cols: N, inFeatures: K } = node;
    if (!INPUT_TYPES.includes(codes.out.type)) throw new Error(`layer ${node.name} reads ${codes.out.type}`);
    const dynamic = codes.out.type === 'rows';
    const sampled = this.sampleInputs(codes, K, node.id);
    const weight = new Float64Array(N * K);
    const bias = Float64Array.from(node.bias);
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        weight[n * K + k] = node.weight[n * K + k] * codes.scale[k] * sampled.unit;
        bias[n] += node.weight[n * K + k] * codes.center[k];
      }
    }
    const fit = await this.fit(node, codes, sampled, { weight, bias, residual, border });
    this.shared.set(node.id, { fit, input: codes, unit: sampled.unit });
    const op = this.linearOp(node, codes, target, residual, fit, sampled.unit, dynamic);
    let value = this.emit(op);
    if (this.input.scales.weightPlanes(node) > 1) {
      const second = { ...fit.second!, bias: new Float64Array(N) };
      const uncentred = { ...target, center: new Float64Array(N) };
      value = this.emit(
        this.linearOp({ ...node, name: `${node.name}.second` }, codes, uncentred, value, second, sampled.unit, dynamic),
      );
    }
    await this.reportLinear(node, codes, op, value, fit, target, border);
    return { value, op };
  }

  private async fit(
    node: LinearNode,
    codes: Built,
    sampled: SampledInputs,
    {
      weight,
      bias,
      residual,
      border,
    }: { weight: Float64Array; bias: Float64Array; residual: ValueId | null; border: Float32Array | null },
  ): Promise<Fit> {
    const { settings, twins, products } = this.input;
    if (this.input.scales.published) return publishedFit(weight, bias, node.inFeatures, settings.fit.weightBits);
    const target = await this.sampleTargets(node, residual, border, sampled.rowsOf);
    const twin = this.shared.get(twins.get(node.id) ?? '');
    const planes = this.input.scales.weightPlanes(node);
    if (twin !== undefined) return refitBias(twin, codes.scale, sampled.x, target, planes);
    const use = planes > 1 ? 'own' : this.isSharedInPlanes(node.id) ? 'shared' : 'none';
    return fitLinear(
      { x: sampled.x, target, weight, bias, rowWeight: sampled.rowWeight, heldOut: sampled.heldOut },
      products,
      settings.fit,
      use,
    );
  }

  /** Whether a layer that shares the weights of this one has two planes of them. */
  private isSharedInPlanes(id: string): boolean {
    const { twins, graph, scales } = this.input;
    return graph.nodes.some(
      (node) => node.op === 'linear' && twins.get(node.id) === id && scales.weightPlanes(node) > 1,
    );
  }

  private linearOp(
    node: LinearNode,
    codes: Built,
    target: Target,
    residual: ValueId | null,
    plane: WeightPlane & Pick<Fit, 'bias'>,
    inputUnit: number,
    dynamic: boolean,
  ): LinearOp {
    const { cols: N, inFeatures: K } = node;
    let rowShift = 0;
    if (dynamic) {
      let largest = 1;
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += Math.abs(plane.codes[n * K + k]);
        largest = Math.max(largest, sum);
      }
      // M' ≤ 2^22, so |M'·Σ| >> rowShift stays below 2^30, and the bias below that again.
      rowShift = Math.max(0, Math.ceil(Math.log2(largest * 128)) + 22 - 30);
    }
    const unit = plane.scale.map((s) => (dynamic ? (s * 2 ** rowShift) / inputUnit : s));
    const factors = unit.map((u, n) => u / target.scale[n]);
    // A 16-bit input's accumulator has up to 40 bits, which leaves its multipliers 22 of the 64-bit product.
    const { multiplier, shift } = encodeMultipliers(factors, node.name, codes.out.type === 'i16' ? 22 : 31);
    const bias = Int32Array.from(unit, (u, n) => {
      const b = Math.round((plane.bias[n] - target.center[n]) / u);
      if (Math.abs(b) >= 2 ** 30)
        throw new InputError(`layer ${node.name}: the bias of channel ${n} is too large for its weights`);
      return b;
    });
    return {
      op: 'linear',
      name: this.unique(node.name),
      rows: node.rows,
      cols: N,
      out: target.out,
      x: codes.value,
      weight: plane.codes,
      inFeatures: K,
      weightBits: plane.bits,
      bias,
      multiplier,
      shift,
      rowShift,
      residual,
    };
  }

  // ---------------------------------------------------------------------------------------------- samples

  /** The sampled rows of a linear layer's integer input over the fitting images. */
  private sampleInputs(codes: Built, K: number, id: string): SampledInputs {
    const { samples, fitImages } = this.input;
    const values = this.values.get(codes.value)!;
    const zero = codes.out.type === 'u8' ? codes.out.zero : codes.out.type === 'rows' ? 128 : 0;
    const picked = Array.from({ length: fitImages }, (_, i) => samples.rows(i, id));
    const S = picked.reduce((n, p) => n + p.length, 0);
    const x = new Float32Array(S * K);
    const rowWeight = new Float32Array(S);
    const heldOut = new Uint8Array(S);
    let unit = 1;
    if (codes.out.type === 'rows') {
      // Rows are weighed in multiples of a typical scale, to keep the Gram matrix's numbers moderate.
      let sum = 0;
      for (const [i, rowsOf] of picked.entries()) for (const r of rowsOf) sum += values[i].rowScale![r];
      unit = sum / S;
    }
    let s = 0;
    for (const [i, rowsOf] of picked.entries()) {
      const { data, rowScale } = values[i];
      for (const r of rowsOf) {
        const scale = rowScale === null ? 1 : rowScale[r] / unit;
        for (let k = 0; k < K; k++) x[s * K + k] = (data[r * K + k] - zero) * scale;
        rowWeight[s] = samples.weight(id, r);
        heldOut[s] = i % 5 === 4 ? 1 : 0;
        s++;
      }
    }
    return { x, rowWeight, heldOut, unit, rowsOf: picked };
  }

  /** What the layer should give on the sampled rows: the float result, less what the integer residual already holds. */
  private async sampleTargets(
    node: LinearNode,
    residual: ValueId | null,
    border: Float32Array | null,
    picked: readonly Int32Array[],
  ): Promise<Float32Array> {
    const { cols: N } = node;
    const target = await this.floatOutputs(
      node,
      0,
      picked.reduce((n, p) => n + p.length, 0),
    );
    if (residual === null && border === null) return target;
    const values = residual === null ? null : this.values.get(residual)!;
    let s = 0;
    for (const [i, rowsOf] of picked.entries()) {
      for (const r of rowsOf) {
        for (let n = 0; n < N; n++) {
          if (values !== null) target[s * N + n] -= values[i].data[r * N + n] * this.wideScale;
          if (border !== null) target[s * N + n] -= border[r * N + n];
        }
        s++;
      }
    }
    return target;
  }

  /** The float outputs of a layer (with the residual that it is fused with) on sampled rows from … to−1, counted over all images. */
  private async floatOutputs(node: LinearNode, from: number, to: number): Promise<Float32Array> {
    const { cols: N, inFeatures: K } = node;
    const { samples, collected, products } = this.input;
    const source = samples.targetOf(node.id);
    if (!source.isInput) return collected.samples.read(source.id, from * N, to * N);
    const transposed = new Float32Array(K * N);
    for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) transposed[k * N + n] = node.weight[n * K + k];
    const outputs = await products.plain(collected.samples.read(source.id, from * K, to * K), K, transposed, N);
    for (let s = 0, i = 0; s < to - from; s++) for (let n = 0; n < N; n++) outputs[i++] += node.bias[n];
    return outputs;
  }

  /** Compares the layer's integer output with float on the sampled rows of the held-out images. */
  private async reportLinear(
    node: LinearNode,
    codes: Built,
    op: LinearOp,
    value: ValueId,
    fit: Fit,
    target: ChannelScales,
    border: Float32Array | null,
  ): Promise<void> {
    const { samples, fitImages, images, collected } = this.input;
    const rowsBefore = (image: number): number => {
      let rows = 0;
      for (let i = 0; i < image; i++) rows += samples.rows(i, node.id).length;
      return rows;
    };
    const wanted = await this.floatOutputs(node, rowsBefore(fitImages), rowsBefore(images.length));
    const limit = op.out.type === 'i8' ? 127 : op.out.type === 'i16' ? 32767 : WIDE_LIMIT;
    let signal = 0;
    let noise = 0;
    let clipped = 0;
    let at = 0;
    for (let i = fitImages; i < images.length; i++) {
      const { data } = this.values.get(value)![i];
      for (const r of samples.rows(i, node.id)) {
        for (let n = 0; n < op.cols; n++) {
          const code = data[r * op.cols + n];
          const got = code * target.scale[n] + target.center[n] + (border === null ? 0 : border[r * op.cols + n]);
          const want = wanted[at++];
          signal += want * want;
          noise += (want - got) ** 2;
          if (Math.abs(code) >= limit) clipped++;
        }
      }
    }
    const observed = collected.statistics.get(node.x);
    this.layers.push({
      name: op.name,
      rows: op.rows,
      inFeatures: op.inFeatures,
      outFeatures: op.cols,
      inputBits: codes.out.type === 'i16' ? 16 : 8,
      weightBits: op.weightBits + (this.input.scales.weightPlanes(node) > 1 ? fit.second!.bits : 0),
      weightSensitivity: this.input.sensitivities.weights.get(node.id)?.error ?? null,
      input: {
        range:
          observed === undefined
            ? null
            : { min: extreme(observed.min, Math.min), max: extreme(observed.max, Math.max) },
        scale: { min: extreme(codes.scale, Math.min), max: extreme(codes.scale, Math.max) },
        strength: this.input.scales.strengthOf(node.id),
        sensitivity:
          node.x === ''
            ? null
            : (this.input.sensitivities.inputs.get(codesSource(this.input.plan, node.x))?.error ?? null),
      },
      output: {
        type: op.out.type,
        scale: { min: extreme(target.scale, Math.min), max: extreme(target.scale, Math.max) },
      },
      sqnrDb: 10 * Math.log10(signal / noise),
      clipped: clipped / at,
      ridge: fit.ridge,
      heldOutError: fit.heldOutError,
    });
  }
}

function extreme(values: Float64Array, pick: (a: number, b: number) => number): number {
  return values.reduce((a, b) => pick(a, b));
}

const key = (id: string, form: Demand): string => `${form} ${id}`;

/** Dynamic rows: û = code·M'/127. */
function finishScales(out: Output, { scale, center }: ChannelScales): ChannelScales {
  return { scale: out.type === 'rows' ? scale.map((s) => s / CODE_LIMIT) : scale, center };
}

/** What padded taps add wrongly: they read pixel 0, which stands for center[k], where the model has a real zero. */
function paddingCorrection(
  node: PatchEmbedNode,
  channels: number,
  center: Float64Array,
  image: Program['input'],
): Float32Array | null {
  if (node.pads.every((p) => p === 0)) return null;
  const K = center.length;
  const correction = new Float32Array(node.rows * node.cols);
  for (let p = 0; p < node.rows; p++) {
    const [py, px] = [Math.floor(p / node.outSize[1]), p % node.outSize[1]];
    for (let k = 0; k < K; k++) {
      const tap = Math.floor(k / channels);
      const y = py * node.stride[0] - node.pads[0] + Math.floor(tap / node.kernel[1]) * node.dilation[0];
      const x = px * node.stride[1] - node.pads[1] + (tap % node.kernel[1]) * node.dilation[1];
      if (y >= 0 && y < image.height && x >= 0 && x < image.width) continue;
      for (let n = 0; n < node.cols; n++) correction[p * node.cols + n] -= node.weight[n * K + k] * center[k];
    }
  }
  return correction;
}

/** A mean error over so many rows is taken to be half chance. */
const ROWS_IN_DOUBT = 32;

/**
 * Weights taken over from a layer whose input scales are in the same proportions, with the bias that leaves no mean error
 * on the rows given, as far as these are enough to tell.
 *
 * @param x [rows, K] codes less their zero
 * @param target [rows, N]
 */
function refitBias(
  { fit, input, unit }: Shareable,
  inputScale: Float64Array,
  x: Float32Array,
  target: Float32Array,
  planes: number,
): Fit {
  const N = fit.scale.length;
  const K = inputScale.length;
  const rows = x.length / K;
  const rescaled = ({ bits, codes, scale }: WeightPlane): WeightPlane => ({
    bits,
    codes,
    scale: scale.map((s) => (s * inputScale[0]) / input.scale[0] / unit),
  });
  const first = rescaled(fit);
  const second = planes > 1 ? rescaled(fit.second!) : null;
  const mean = new Float64Array(K);
  x.forEach((v, i) => (mean[i % K] += v / rows));
  const wanted = new Float64Array(N);
  target.forEach((v, i) => (wanted[i % N] += v / rows));
  const meanOutput = productWithMean(second === null ? [first] : [first, second], mean);
  const bias = fit.bias.map((b, n) => b + ((wanted[n] - meanOutput[n] - b) * rows) / (rows + ROWS_IN_DOUBT));
  return { ...first, second, bias, ridge: null, heldOutError: null };
}
