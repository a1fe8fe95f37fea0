import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { InputError } from '../../errors.js';
import type { ActivationNode, AttentionNode, GraphNode, LinearNode } from '../../graph/types.js';
import { WIDE_LIMIT } from '../../program/limits.js';
import type { Output, SoftmaxBits } from '../../program/types.js';
import { askedBits } from './layer-bits.js';
import { rowsNeeded, type Demand, type Plan } from '../plan.js';
import { isPublishedGelu, publishedGelu, publishedOperandScales, tensorScale } from '../build/published.js';
import {
  CODE_LIMIT,
  channelExtents,
  chooseRanges,
  chooseStrength,
  MOST_DYNAMIC_STRENGTH,
  operandScales,
  reachOf,
  variances,
  viewColumn,
  withStrength,
  type ChannelScales,
  type OperandScales,
  type Reach,
} from './scales.js';
import { MAX_FINE_KEYS, scoreMultipliers, SCORE_BITS } from '../build/scores.js';
import type { Sensitive } from './sensitivity.js';
import type { SequenceSettings } from '../settings.js';

/** How a value is written: its type, and what its codes mean. */
export type Target = { readonly out: Output } & ChannelScales;

/**
 * Room of the residual stream above the largest value seen: a rare token can be ten times larger than all those of the
 * calibration images (ViT-Tiny), and 24 bits leave a thousand steps to a value of 1/500 of the largest all the same.
 */
const WIDE_HEAD_ROOM = 32;
/** Room of an activation's 16-bit input, for the same rare tokens. */
const ACTIVATION_HEAD_ROOM = 4;
/** Below minus this an activation gives next to nothing: SiLU(−8) = −0.003. Inputs may clip there. */
const ACTIVATION_DEPTH = 8;
/** û of a dynamic row: the largest value seen becomes 2^17, 32 times below the clamp. */
const ROW_TARGET = 2 ** 17;
const CODES: Output = { type: 'u8', zero: 128 };
const CODES_16: Output = { type: 'i16' };
const CODE_LIMIT_16 = 32767;
/** Codes of 16 bits have room to spare: ranges are widened so far that nothing clips. With 4, class tokens did (DeiT-Tiny). */
const HEAD_ROOM_16 = 16;

export interface ValueScalesInput {
  readonly plan: Plan;
  readonly statistics: ReadonlyMap<string, ChannelStatistics>;
  /** Linear layers that share the weights of another one before them, by id. */
  readonly twins: ReadonlyMap<string, string>;
  readonly settings: SequenceSettings;
  /** What has more bits, beside what the settings give as many. */
  readonly sensitive: Sensitive;
}

/** The type and scales of every value, chosen from the statistics alone, before anything is quantized. */
export class ValueScales {
  /** Of the residual stream: one scale for all wide values. */
  readonly wideScale: number;
  private readonly operands = new Map<string, OperandScales>();
  private readonly codes = new Map<string, Target>();
  /** How far the input scales of a linear layer differ from channel to channel, by its id. */
  private readonly strengths = new Map<string, number>();

  constructor(private readonly input: ValueScalesInput) {
    this.wideScale = this.chooseWideScale();
  }

  /** Output type and scales of a value of `cols` columns that is made in the given form. */
  target(id: string, form: Demand, cols: number): Target {
    switch (form) {
      case 'codes':
        return this.codesOf(id, cols);
      case 'operand':
        return { out: { type: 'i8' }, ...this.operandColumns(id) };
      case 'activation':
        if (this.published && this.activationsOf(id).every(isPublishedGelu)) {
          const scale = tensorScale(this.statistics(id), this.input.settings.range);
          return { out: { type: 'i8' }, ...uniformScales(cols, publishedGelu(scale).scale) };
        }
        return { out: { type: 'i16' }, ...uniformScales(cols, 2 ** -this.activationBits(id)) };
      case 'wide':
        return { out: { type: 'i32' }, ...uniformScales(cols, this.wideScale) };
    }
  }

  /** How far the scales of a linear layer's input differ from channel to channel: see `LayerReport`. */
  strengthOf(linearId: string): number | null {
    return this.strengths.get(linearId) ?? null;
  }

  /** Scales of an attention's operands. */
  attention(node: AttentionNode): OperandScales {
    const known = this.operands.get(node.id);
    if (known !== undefined) return known;
    const scales = this.published
      ? publishedOperandScales(node, this.input.statistics, this.input.settings.range)
      : this.raisedOperandScales(node);
    this.operands.set(node.id, scales);
    return scales;
  }

  /** Whether so few rows of a node reach the output that more bits of them cost next to nothing. */
  hasFewRows(node: GraphNode): boolean {
    return rowsNeeded(this.input.plan, node) <= this.input.settings.fewRows;
  }

  /** What the codes that a linear layer reads mean. */
  inputCodes({ x, inFeatures }: LinearNode): Target {
    return this.codesOf(codesSource(this.input.plan, x), inFeatures);
  }

  /** Bits of a linear layer's input. */
  inputBits(node: LinearNode): 8 | 16 {
    const { settings, plan, sensitive } = this.input;
    const asked = askedBits(node.name, settings.options.layerBits);
    if (asked !== undefined) return asked;
    return this.hasFewRows(node) || sensitive.inputs.has(codesSource(plan, node.x)) ? 16 : 8;
  }

  /** Planes of a linear layer's weights. */
  weightPlanes({ id }: LinearNode): 1 | 2 {
    const { sensitive, twins } = this.input;
    return sensitive.weights.has(id) || sensitive.weights.has(twins.get(id) ?? '') ? 2 : 1;
  }

  /** Bits of an attention's softmax weights. */
  softmaxBits(node: AttentionNode): SoftmaxBits {
    const isCheap = this.hasFewRows(node) && node.keys <= MAX_FINE_KEYS;
    return isCheap || this.input.sensitive.softmax.has(node.id) ? 12 : 8;
  }

  /** Whether the kernels are the published ones. */
  get published(): boolean {
    return this.input.settings.options.kernels === 'paper';
  }

  private statistics(id: string): ChannelStatistics {
    const statistics = this.input.statistics.get(id);
    if (statistics === undefined) throw new Error(`no statistics of ${id}`);
    return statistics;
  }

  private chooseWideScale(): number {
    let largest = 0;
    for (const [id, form] of this.input.plan.form) {
      const node = this.input.plan.nodes.get(id)!;
      if (form !== 'wide' && !(node.op === 'linear' && this.weightPlanes(node) > 1)) continue;
      largest = Math.max(largest, largestOf(this.statistics(id)));
    }
    return ((largest || 1) * WIDE_HEAD_ROOM) / WIDE_LIMIT;
  }

  /** Fraction bits of an activation's i16 input: its range is that of the positive values, which activations hand through. */
  private activationBits(id: string): number {
    const largest = this.statistics(id).max.reduce((a, b) => Math.max(a, b), 0);
    return Math.max(
      6,
      Math.min(12, Math.floor(Math.log2(32768 / Math.max(largest * ACTIVATION_HEAD_ROOM, ACTIVATION_DEPTH)))),
    );
  }

  // ------------------------------------------------------------------------------- inputs of linear layers

  private codesOf(id: string, cols: number): Target {
    const key = `${id} ${cols}`;
    const known = this.codes.get(key);
    if (known !== undefined) return known;
    const codes = this.chooseCodes(id, cols);
    this.codes.set(key, codes);
    return codes;
  }

  private chooseCodes(id: string, cols: number): Target {
    const { plan, settings } = this.input;
    const { range, options } = settings;
    const node = plan.nodes.get(id)!;
    const shared = this.sharedInput(id);
    if (shared !== null) return this.codesLike(id, shared);
    if (node.op === 'attention' && plan.form.get(id) === 'codes') return this.attentionCodes(node);
    // Padding is real zeros, which codes hold exactly only without a centre.
    const symmetric = options.scales === 'dynamic' || this.isPadded(id);
    const statistics = this.statistics(id);
    if (this.choosesRanges(id) && statistics.channels === cols) {
      const aboutZero = symmetric || !range.centred;
      return this.chosenCodes(
        id,
        reachOf(statistics, range.method, aboutZero ? new Float64Array(cols) : null, aboutZero),
      );
    }
    const { half, middle } = channelExtents(statistics, range, symmetric);
    if (half.length === cols) return this.codesWithin(id, half, middle, true);
    // Re-read in rows of another length: one scale for all.
    const reach = half.reduce((most, h, c) => Math.max(most, h + Math.abs(middle[c])), 0);
    return this.codesWithin(id, new Float64Array(cols).fill(reach), new Float64Array(cols), false);
  }

  /** Attention's output is centred where v is: its scales are symmetric about that. */
  private attentionCodes(node: AttentionNode): Target {
    const { range } = this.input.settings;
    const statistics = this.statistics(node.id);
    const values = this.attention(node).v;
    const center = Float64Array.from(
      { length: node.cols },
      (_, c) => values.center[attentionColumn(node, values.scale.length, c)],
    );
    if (this.choosesRanges(node.id)) return this.chosenCodes(node.id, reachOf(statistics, range.method, center, true));
    const { half, middle } = channelExtents(statistics, range, false);
    const reach = half.map((h, c) => h + Math.abs(middle[c] - center[c]));
    return this.codesWithin(node.id, reach, center, true);
  }

  /** Whether a gather pads the codes of a value with zeros. */
  private isPadded(id: string): boolean {
    return this.input.plan.consumers
      .get(id)!
      .some((user) => user.op === 'gather' && (user.index.includes(-1) || this.isPadded(user.id)));
  }

  private has16BitReader(id: string): boolean {
    return this.readers(id).some((reader) => this.inputBits(reader) === 16);
  }

  /** Whether a value's codes have ranges that could clip: neither 16 bits with room to spare, nor rows scaled by their maximum. */
  private choosesRanges(id: string): boolean {
    return this.input.settings.options.scales === 'static' && !this.published && !this.has16BitReader(id);
  }

  /** The input scales that go with weights which a reader of `id` shares. */
  private sharedInput(id: string): Target | null {
    const { twins, plan } = this.input;
    for (const { id: reader } of this.readers(id)) {
      const twin = plan.nodes.get(twins.get(reader) ?? '');
      if (twin?.op === 'linear') return this.inputCodes(twin);
    }
    return null;
  }

  /** Codes of the given centres and of scales in the same proportions: weights then suit both. */
  private codesLike(id: string, { out, scale, center }: Target): Target {
    if (!this.has16BitReader(id)) return { out, scale, center };
    const statistics = this.statistics(id);
    const room = scale.reduce(
      (most, s, c) => Math.max(most, (statistics.max[c] - center[c]) / s, (center[c] - statistics.min[c]) / s),
      0,
    );
    const factor = (room * HEAD_ROOM_16) / CODE_LIMIT_16;
    return { out: CODES_16, scale: scale.map((s) => s * factor), center };
  }

  /** Codes of 8 bits whose ranges are chosen for the layers that read them. */
  private chosenCodes(id: string, reach: Reach): Target {
    const { options, range, perChannelInputs } = this.input.settings;
    const readers = this.readers(id);
    const weight = concatenate(readers.map((reader) => reader.weight));
    const limit = 2 ** (options.weightBits - 1) - 1;
    const { half, middle, strength } = chooseRanges(
      this.statistics(id),
      reach,
      weight,
      limit,
      range,
      perChannelInputs ? undefined : [0],
    );
    for (const reader of readers) this.strengths.set(reader.id, strength);
    return { out: CODES, scale: half.map((h) => h / CODE_LIMIT), center: middle };
  }

  /** Codes of 8 bits (or 16 where the readers ask for them) for channels that reach `half` to either side of `center`. */
  private codesWithin(id: string, half: Float64Array, center: Float64Array, perChannel: boolean): Target {
    const { options, perChannelInputs } = this.input.settings;
    const readers = this.readers(id);
    const wide = this.has16BitReader(id);
    const weight = concatenate(readers.map((reader) => reader.weight));
    const limit = 2 ** (options.weightBits - 1) - 1;
    const chosen = () =>
      chooseStrength(
        half,
        variances(this.statistics(id)),
        weight,
        limit,
        wide ? CODE_LIMIT_16 / CODE_LIMIT / HEAD_ROOM_16 : 1,
        wide ? 1 : MOST_DYNAMIC_STRENGTH,
      );
    const strength = !perChannel || weight.length === 0 ? 1 : perChannelInputs ? chosen() : 0;
    for (const reader of readers) this.strengths.set(reader.id, strength);
    const widths = withStrength(half, strength);
    if (wide) return { out: CODES_16, scale: widths.map((w) => (w * HEAD_ROOM_16) / CODE_LIMIT_16), center };
    if (options.scales === 'dynamic')
      return { out: { type: 'rows' }, scale: widths.map((w) => w / ROW_TARGET), center };
    return { out: CODES, scale: widths.map((w) => w / CODE_LIMIT), center };
  }

  /** The linear layers that read a value, directly or through gathers of whole rows. */
  private readers(id: string): LinearNode[] {
    return this.input.plan.consumers
      .get(id)!
      .flatMap((user) => (user.op === 'linear' ? [user] : user.op === 'gather' ? this.readers(user.id) : []));
  }

  /** The activations that read a value, directly or through gathers. */
  private activationsOf(id: string): ActivationNode[] {
    return this.input.plan.consumers
      .get(id)!
      .flatMap((user) => (user.op === 'activation' ? [user] : user.op === 'gather' ? this.activationsOf(user.id) : []));
  }

  // ------------------------------------------------------------------------------- operands of attention

  private raisedOperandScales(node: AttentionNode): OperandScales {
    const { statistics, settings, plan } = this.input;
    const scales = operandScales(node, statistics, settings.range, plan.form.get(node.id) === 'codes');
    // Rounding each head's product up makes its score multiplier exact in few bits.
    const wanted = scales.product.map((s, h) => s * node.scale[h] * Math.LOG2E * 2 ** SCORE_BITS);
    const multipliers = scoreMultipliers(wanted, node);
    const raised = scales.product.map((_, h) =>
      multipliers.multiplier[h] === 0 ? 1 : (multipliers.multiplier[h] * 2 ** -multipliers.shift) / wanted[h],
    );
    for (let h = 0; h < node.heads; h++) {
      // Heads that share columns (norms per head) keep one scale; the rounding of a few bits is then not made up for.
      if (node.q.stride > scales.q.scale.length) continue;
      for (let c = 0; c < node.dim; c++) scales.q.scale[viewColumn(node.q, scales.q.scale.length, h, c)] *= raised[h];
      scales.product[h] *= raised[h];
    }
    return scales;
  }

  /** Scales by column of a value that attention reads; its columns may serve as q, k and v of one attention. */
  private operandColumns(id: string): ChannelScales {
    const { plan } = this.input;
    // What is gathered has the scales of what it becomes part of.
    const gather = plan.consumers.get(id)!.find((user) => user.op === 'gather' && plan.form.get(user.id) === 'operand');
    if (gather !== undefined) return this.operandColumns(gather.id);
    const attentions = plan.attentions.get(id) ?? [];
    const scale = new Float64Array(this.statistics(id).channels).fill(1);
    const center = new Float64Array(scale.length);
    const owner = new Map<number, string>();
    for (const node of attentions) {
      const scales = this.attention(node);
      for (const role of ['q', 'k', 'v'] as const) {
        const view = node[role];
        if (view.source !== id) continue;
        for (let h = 0; h < node.heads; h++) {
          for (let c = 0; c < (role === 'v' ? node.valueDim : node.dim); c++) {
            const column = viewColumn(view, scale.length, h, c);
            // Two attentions may read the same operand, if they want the same of it.
            const claim = `${role} ${scales[role].scale[column]} ${scales[role].center[column]}`;
            if (owner.has(column) && owner.get(column) !== claim) {
              throw new InputError(
                `layer ${node.name}: one tensor serves as two operands of attention, which is not supported`,
              );
            }
            owner.set(column, claim);
            scale[column] = scales[role].scale[column];
            center[column] = scales[role].center[column];
          }
        }
      }
    }
    return { scale, center };
  }
}

/** The value that the codes which a node reads come from: gathers move codes as they are. */
export function codesSource(plan: Plan, id: string): string {
  const node = plan.nodes.get(id)!;
  return node.op === 'gather' && plan.form.get(id) === 'codes' ? codesSource(plan, node.sources[0]) : id;
}

export function uniformScales(cols: number, scale: number): ChannelScales {
  return { scale: new Float64Array(cols).fill(scale), center: new Float64Array(cols) };
}

/** The column of the values that column c of an attention's output is a weighted mean of; their source has `columns`. */
export function attentionColumn({ v, valueDim }: AttentionNode, columns: number, c: number): number {
  return viewColumn(v, columns, Math.floor(c / valueDim), c % valueDim);
}

/** The largest absolute value seen. */
function largestOf({ channels, min, max }: ChannelStatistics): number {
  let largest = 0;
  for (let c = 0; c < channels; c++) largest = Math.max(largest, -min[c], max[c]);
  return largest;
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
