/** Where a model looked: attention rollout of the integer model, or occlusion where attention does not tell. */
import { traceProgram } from '../engine/trace.js';
import type { OpRunner, Value } from '../engine/types.js';
import { scoreRow, weighRow } from '../kernels/attention.js';
import type { AttentionOp, Program } from '../program/types.js';
import type { ImageMap } from './image-map.js';
import { attended, meanOfHeads, onPatches, rollOut, type AttentionMap } from './rollout.js';
import type { TokenLayout } from './tokens.js';

export { occlusionMap } from './occlusion.js';
export { meanOfHeads } from './rollout.js';
export type { ImageMap } from './image-map.js';
export { tokenLayout } from './tokens.js';

/**
 * Attention rollout of an image, and what the tokens that are read take in each head of the last block.
 *
 * @param pixels u8 HWC of the program's input size
 */
export function attentionMaps(program: Program, layout: TokenLayout, runner: OpRunner, pixels: Uint8Array): ImageMap[] {
  const { grid, patchOf, reader, attentions } = layout;
  const blocks: Float32Array[] = [];
  let last: AttentionMap | null = null;
  traceProgram(program, runner, pixels, (op, operands, _result, index) => {
    if (op.op !== 'attention' || !attentions.has(index)) return;
    last = weightsOf(op, operands);
    blocks.push(meanOfHeads(last));
  });
  return mapsOf(blocks, last!, { grid, patchOf, reader });
}

/** The maps that attention weights make; `last` is the last block's. */
export function mapsOf(
  blocks: readonly Float32Array[],
  last: AttentionMap,
  { grid, patchOf, reader }: Pick<TokenLayout, 'grid' | 'patchOf' | 'reader'>,
): ImageMap[] {
  const whole = { title: 'rollout', grid, values: onPatches(rollOut(blocks, last.tokens, reader), patchOf) };
  const heads = Array.from({ length: last.heads }, (_, head) => ({
    title: `head ${head + 1}`,
    grid,
    values: onPatches(attended(last, head, reader), patchOf),
  }));
  return [whole, ...heads];
}

/** The integer softmax weights of an attention, as shares of their sum. */
function weightsOf(op: AttentionOp, [q, k]: readonly Value[]): AttentionMap {
  const { heads, keys: tokens } = op;
  const sources = { q: q.data as Int8Array, k: k.data as Int8Array };
  const weights = new Float32Array(heads * tokens * tokens);
  const scores = new Int32Array(tokens);
  const row = new Int32Array(tokens);
  for (let head = 0; head < heads; head++)
    for (let query = 0; query < tokens; query++) {
      const max = scoreRow(op, sources, query, head, scores);
      const sum = weighRow(op, scores, max, query, row);
      const at = (head * tokens + query) * tokens;
      for (let key = 0; key < tokens; key++) weights[at + key] = row[key] / sum;
    }
  return { heads, tokens, weights };
}
