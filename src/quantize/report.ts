import type { OutputAgreement } from '../metrics/similarity.js';

export interface Extent {
  readonly min: number;
  readonly max: number;
}

/** What became of one linear layer. */
export interface LayerReport {
  readonly name: string;
  readonly rows: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly inputBits: number;
  /** Of both planes, where there are two. */
  readonly weightBits: number;
  /** What the bits of one plane would do to the logits, as a share of their energy; null: not measured. */
  readonly weightSensitivity: number | null;
  readonly input: {
    /** Of the float values on the calibration images, all channels together; null: pixels. */
    readonly range: Extent | null;
    /** Real value of one code step, least and largest of all channels (for dynamic rows: of one step of M'). */
    readonly scale: Extent;
    /** How far scales differ from channel to channel: 0 one for all, 1 each its own range; null: nothing to choose. */
    readonly strength: number | null;
    /**
     * Squared error of the logits, as a share of their energy, that 8-bit codes of this input alone would make: the
     * inputs with the most for their work have 16 bits. Null: not measured.
     */
    readonly sensitivity: number | null;
  };
  readonly output: {
    readonly type: string;
    readonly scale: Extent;
  };
  /** Of the layer's output (with the residual it is added to) against float, on sampled rows of the held-out images. */
  readonly sqnrDb: number;
  /** Share of these outputs at the limit of their type. */
  readonly clipped: number;
  /** Ridge strength that helped most on held-out rows; null: none did, the float weights were kept. */
  readonly ridge: number | null;
  /**
   * Why: squared error on rows held out of the fit, as a share of the output's energy, before and after the correction,
   * with weights not yet rounded. null: not tried, because the effort leaves it out or there were too few rows.
   */
  readonly heldOutError: { readonly before: number; readonly after: number } | null;
}

/** What became of one attention. */
export interface AttentionReport {
  readonly name: string;
  /** Of its softmax weights. */
  readonly softmaxBits: number;
  /** What 8 bits instead of 12 would do to the logits, as a share of their energy; null: not measured. */
  readonly sensitivity: number | null;
}

/** A model that decides otherwise than the float one for more images than this is not fit for use … */
const POOR_AGREEMENT = 0.9;
/** … unless its logits are this near, and it is the float model that is of two minds. */
const NEAR_DB = 20;
/** The decisions for fewer images tell nothing: with two of them, both are right by chance. */
const TELLING_IMAGES = 8;

/** Whether something is wrong with the integer model, the pre-processing or the calibration images. */
export function isPoor(outputs: readonly Pick<OutputAgreement, 'images' | 'top1Agreement' | 'sqnrDb'>[]): boolean {
  return outputs.some(({ images, top1Agreement, sqnrDb }) => {
    const decided = images >= TELLING_IMAGES ? (top1Agreement ?? 0) : 0;
    return !(decided >= POOR_AGREEMENT || sqnrDb >= NEAR_DB);
  });
}

/** The `count` layers whose outputs are farthest from float, worst first; those that are always zero tell nothing. */
export function worstLayers<T extends Pick<LayerReport, 'sqnrDb'>>(layers: readonly T[], count: number): T[] {
  const orderOf = ({ sqnrDb }: T): number => (Number.isNaN(sqnrDb) ? Infinity : sqnrDb);
  return [...layers].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : Number(orderOf(a) > orderOf(b)))).slice(0, count);
}
