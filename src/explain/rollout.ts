/** Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020, arXiv 2005.00928). */

/** Softmax weights of one block: what each query takes of each key, normalised. */
export interface AttentionMap {
  /** [heads, queries]: rows of the weights, or those of the tokens that are wanted alone. */
  readonly heads: number;
  readonly tokens: number;
  /** [heads, tokens, tokens]; each row sums to 1. */
  readonly weights: Float32Array;
}

/** What is kept of a block: the mean over its heads, [tokens, tokens]. */
export function meanOfHeads({ heads, tokens, weights }: AttentionMap): Float32Array {
  const size = tokens * tokens;
  const mean = new Float32Array(size);
  for (let h = 0; h < heads; h++) for (let i = 0; i < size; i++) mean[i] += weights[h * size + i] / heads;
  return mean;
}

/**
 * How much of each token of the first block reaches the tokens that are read, if half of each block's result is what it
 * began with (its residual):
 *
 *     r = reader·Â_L·…·Â_1,  Â = (A + I)/2
 *
 * @param blocks [tokens, tokens] each, first block first; see `meanOfHeads`
 * @param reader the token that is read; null: the mean of all
 * @returns [tokens]
 */
export function rollOut(blocks: readonly Float32Array[], tokens: number, reader: number | null): Float64Array {
  let flow = new Float64Array(tokens).fill(reader === null ? 1 / tokens : 0);
  if (reader !== null) flow[reader] = 1;
  for (const weights of [...blocks].reverse()) {
    const before = new Float64Array(tokens);
    for (let query = 0; query < tokens; query++) {
      const half = flow[query] / 2;
      if (half === 0) continue;
      before[query] += half;
      for (let key = 0; key < tokens; key++) before[key] += half * weights[query * tokens + key];
    }
    flow = before;
  }
  return flow;
}

/** What of each patch the tokens that are read take in one head of a block. */
export function attended({ tokens, weights }: AttentionMap, head: number, reader: number | null): Float64Array {
  const from = head * tokens * tokens;
  const row = (query: number): Float64Array =>
    Float64Array.from(weights.subarray(from + query * tokens, from + (query + 1) * tokens));
  if (reader !== null) return row(reader);
  const mean = new Float64Array(tokens);
  for (let query = 0; query < tokens; query++) row(query).forEach((w, key) => (mean[key] += w / tokens));
  return mean;
}

/** The tokens' shares laid out as the patches of the image; what lies on other tokens is left out. */
export function onPatches(shares: Float64Array, patchOf: Int32Array): Float64Array {
  const map = new Float64Array(patchOf.reduce((a, b) => Math.max(a, b), -1) + 1);
  patchOf.forEach((patch, token) => {
    if (patch >= 0) map[patch] += shares[token];
  });
  return map;
}
