/** What became of one linear layer. */
export interface LayerReport {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly inputBits: number;
  readonly weightBits: number;
  /** Of the layer's output (with the residual it is added to) against float, on held-out images; null: not sampled. */
  readonly sqnrDb: number | null;
  /** Share of outputs at the limit of their type. */
  readonly clipped: number | null;
  /** Strength of the compensation that helped on held-out rows; null: the float weights were kept. */
  readonly ridge: number | null;
}
