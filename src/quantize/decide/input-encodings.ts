/** How the inputs of linear layers are written. */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import type { AttentionNode, LinearNode } from '../../graph/types.js';
import { hasBorder, inputSource, inputTaps, isPadded, linearReaders, ownerOf } from '../plan/queries.js';
import type { Plan } from '../plan/types.js';
import type { Scheme } from '../schemes/scheme.js';
import type { BitWidths } from './bit-widths.js';
import { QUANTIZED_LIMIT, QUANTIZED_LIMIT_16, type Encoding } from './encoding.js';
import { chooseAlpha, chooseRanges, withAlpha, type ReaderWeights } from './migration.js';
import type { OperandEncodings } from './operand-encodings.js';
import { attentionColumn } from './operand-scales.js';
import { aboutZeroPoint, channelExtents, chooseZero, reachOf, variances, type Reach } from './reach.js';

/**
 * 16 bits have room to spare: ranges are widened so far that nothing clips. With 4, class tokens did (DeiT-Tiny).
 * `room` of the techniques takes a share of it.
 */
const MARGIN_16 = 16;

/** The least half-width of an activation's output, as a share of the largest. */
const LEAST_WIDTH = 2 ** -6;

export class InputEncodings {
  private readonly known = new Map<string, Encoding>();
  /** The migration strength α of each linear layer's input, by its id. */
  private readonly alphas = new Map<string, number>();

  constructor(
    private readonly plan: Plan,
    private readonly statistics: ReadonlyMap<string, ChannelStatistics>,
    private readonly scheme: Scheme,
    private readonly bits: BitWidths,
    private readonly operands: OperandEncodings,
  ) {}

  /** What a linear layer reads: of windows, the same for every tap. */
  of(node: LinearNode): Encoding {
    const encoding = this.ofSource(node);
    const { inFeatures } = node;
    if (encoding.scale.length === inFeatures) return encoding;
    const perTap = (values: Float64Array): Float64Array =>
      Float64Array.from({ length: inFeatures }, (_, k) => values[k % values.length]);
    return { out: encoding.out, scale: perTap(encoding.scale), center: perTap(encoding.center) };
  }

  /** The encoding of the value that a linear layer's input comes from. */
  ofSource({ x, inFeatures }: LinearNode): Encoding {
    return this.ofValue(inputSource(this.plan, x), inFeatures / inputTaps(this.plan, x));
  }

  /** The encoding of a value that linear layers read in rows of `cols` elements. */
  ofValue(id: string, cols: number): Encoding {
    const key = `${id} ${cols}`;
    let encoding = this.known.get(key);
    if (encoding === undefined) {
      encoding = this.choose(id, cols);
      this.known.set(key, encoding);
    }
    return encoding;
  }

  /** The migration strength α of a layer's input; null: nothing to choose. */
  alphaOf(linearId: string): number | null {
    return this.alphas.get(linearId) ?? null;
  }

  private choose(id: string, cols: number): Encoding {
    const { inputs, techniques } = this.scheme;
    const { range } = techniques;
    const node = this.plan.nodes.get(id)!;
    const tied = this.tiedInput(id);
    if (tied !== null) return this.like(id, tied);
    if (node.op === 'attention' && this.plan.form.get(id) === 'codes') return this.ofAttention(node);
    // Padding is real zeros, which quantized values hold exactly only without a centre.
    const symmetric = inputs.aboutZero || isPadded(this.plan, id);
    const statistics = this.statistics.get(id)!;
    if (this.choosesRanges(id) && statistics.channels === cols) {
      if (inputs.movesZero && hasBorder(this.plan, id)) return this.ofPaddedMap(id, statistics);
      const aboutZero = symmetric || !range.centred;
      const center = aboutZero ? new Float64Array(cols) : null;
      return this.chosen(id, reachOf(statistics, range.method, center, aboutZero));
    }
    const { half, middle } = channelExtents(statistics, range, symmetric);
    if (half.length === cols) return this.within(id, half, middle, true);
    // Re-read in rows of another length: one scale for all.
    const reach = half.reduce((most, h, c) => Math.max(most, h + Math.abs(middle[c])), 0);
    return this.within(id, new Float64Array(cols).fill(reach), new Float64Array(cols), false);
  }

  /** Attention's output is centred where v is: its scales are symmetric about that. */
  private ofAttention(node: AttentionNode): Encoding {
    const { range } = this.scheme.techniques;
    const statistics = this.statistics.get(node.id)!;
    const values = this.operands.of(node).v;
    const center = Float64Array.from(
      { length: node.cols },
      (_, c) => values.center[attentionColumn(node, values.scale.length, c)],
    );
    if (this.choosesRanges(node.id)) return this.chosen(node.id, reachOf(statistics, range.method, center, true));
    const { half, middle } = channelExtents(statistics, range, false);
    const reach = half.map((h, c) => h + Math.abs(middle[c] - center[c]));
    return this.within(node.id, reach, center, true);
  }

  /** Zero is a quantized value, though not the middle one: most maps come from activations, nearly all one-sided. */
  private ofPaddedMap(id: string, statistics: ChannelStatistics): Encoding {
    const { range } = this.scheme.techniques;
    const reach = reachOf(statistics, range.method, new Float64Array(statistics.channels), false);
    const zero = chooseZero(reach);
    const { out, ...scales } = this.chosen(id, aboutZeroPoint(reach, zero));
    return { out: out.type === 'u8' ? { type: 'u8', zero } : out, ...scales };
  }

  private has16BitReader(id: string): boolean {
    return linearReaders(this.plan, id).some((reader) => this.bits.input(reader) === 16);
  }

  /** Whether a value's ranges could clip: neither 16 bits with room to spare, nor rows scaled by their maximum. */
  private choosesRanges(id: string): boolean {
    const { inputs, techniques } = this.scheme;
    return inputs.canClip && techniques.choosesScales && !this.has16BitReader(id);
  }

  /** The encoding of the layer whose weights a reader of `id` is tied to. */
  private tiedInput(id: string): Encoding | null {
    for (const reader of linearReaders(this.plan, id)) {
      const owner = ownerOf(this.plan, reader);
      if (owner !== null) return this.ofSource(owner);
    }
    return null;
  }

  /** The given centres, and scales in the same proportions: weights then suit both. */
  private like(id: string, { out, scale, center }: Encoding): Encoding {
    if (!this.has16BitReader(id)) return { out, scale, center };
    const { min, max } = this.statistics.get(id)!;
    const room = scale.reduce((most, s, c) => Math.max(most, (max[c] - center[c]) / s, (center[c] - min[c]) / s), 0);
    // Of a value that is always zero nothing tells how far it could reach.
    const factor = ((room || QUANTIZED_LIMIT) * this.margin16) / QUANTIZED_LIMIT_16;
    return { out: { type: 'i16' }, scale: scale.map((s) => s * factor), center };
  }

  /** 8 bits whose ranges are chosen for the layers that read them. */
  private chosen(id: string, reach: Reach): Encoding {
    const { range, perChannelInputs } = this.scheme.techniques;
    const readers = linearReaders(this.plan, id);
    const layers = readers.map((reader) => weightsOver(reader, reach.center.length));
    const alphas = perChannelInputs ? undefined : [0];
    const { half, middle, alpha } = chooseRanges(
      this.statistics.get(id)!,
      reach,
      { layers, limit: this.weightLimit },
      range,
      alphas,
    );
    for (const reader of readers) this.alphas.set(reader.id, alpha);
    return this.scheme.inputs.encode(this.raised(id, half), middle);
  }

  /** 8 bits (or 16 where the readers ask for them) for channels that reach `half` to either side of `center`. */
  private within(id: string, half: Float64Array, center: Float64Array, perChannel: boolean): Encoding {
    const readers = linearReaders(this.plan, id);
    const is16Bit = this.has16BitReader(id);
    const layers = readers.map((reader) => weightsOver(reader, half.length));
    const chosen = (): number => {
      const finer = is16Bit ? QUANTIZED_LIMIT_16 / QUANTIZED_LIMIT / this.margin16 : 1;
      const most = is16Bit ? 1 : this.scheme.inputs.mostAlpha;
      const variance = variances(this.statistics.get(id)!);
      return chooseAlpha(half, variance, { layers, limit: this.weightLimit }, finer, most);
    };
    const { perChannelInputs } = this.scheme.techniques;
    const alpha = !perChannel || layers.length === 0 ? 1 : perChannelInputs ? chosen() : 0;
    for (const reader of readers) this.alphas.set(reader.id, alpha);
    const widths = this.raised(id, withAlpha(half, alpha));
    if (!is16Bit) return this.scheme.inputs.encode(widths, center);
    return { out: { type: 'i16' }, scale: widths.map((w) => (w * this.margin16) / QUANTIZED_LIMIT_16), center };
  }

  /**
   * Half-widths that the op which writes the value can tell apart. An activation's multipliers have 15 bits for all
   * channels together: channels that hardly change must not take them from the others.
   */
  private raised(id: string, half: Float64Array): Float64Array {
    if (this.plan.nodes.get(id)!.op !== 'activation') return half;
    const least = LEAST_WIDTH * half.reduce((a, b) => Math.max(a, b), 0);
    return half.map((h) => Math.max(h, least));
  }

  private get margin16(): number {
    return MARGIN_16 * this.scheme.techniques.room;
  }

  private get weightLimit(): number {
    return 2 ** (this.scheme.techniques.fit.weightBits - 1) - 1;
  }
}

/** The weights of a layer that reads values of so many columns. */
function weightsOver({ weight, inFeatures }: LinearNode, columns: number): ReaderWeights {
  return { weight, taps: Math.max(1, inFeatures / columns) };
}
