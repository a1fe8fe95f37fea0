import { gcd } from '../layout.js';
import { mergeHints } from '../name-hints.js';
import { countReaders } from '../liveness.js';
import type { GatherNode, LinearNode } from '../types.js';
import type { Pass } from './pass.js';

/**
 * Two heads whose logits are summed (distilled models) become one linear layer over both tokens' channels:
 * A·x + B·y = [A B]·[x; y], so that the logits come out of one product.
 */
export const joinHeads: Pass = ({ nodes, output, hints, note }) => {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const sum = byId.get(output)!;
  if (sum.op !== 'add' || sum.a === sum.b) return null;
  const [a, b] = [byId.get(sum.a)!, byId.get(sum.b)!];
  const readers = countReaders(nodes, output);
  if (a.op !== 'linear' || b.op !== 'linear' || readers.get(a.id) !== 1 || readers.get(b.id) !== 1) return null;
  if (a.rows !== 1 || b.rows !== 1 || a.cols !== b.cols) return null;

  const [ka, kb] = [a.inFeatures, b.inFeatures];
  const weight = new Float32Array(a.cols * (ka + kb));
  for (let n = 0; n < a.cols; n++) {
    weight.set(a.weight.subarray(n * ka, (n + 1) * ka), n * (ka + kb));
    weight.set(b.weight.subarray(n * kb, (n + 1) * kb), n * (ka + kb) + ka);
  }
  const tokens: GatherNode = {
    op: 'gather',
    id: `${sum.id}#tokens`,
    name: `${sum.id}#tokens`,
    rows: 1,
    cols: ka + kb,
    ...sideBySide(a.x, ka, b.x, kb),
  };
  const head: LinearNode = {
    ...a,
    id: sum.id,
    name: sum.name,
    x: tokens.id,
    weight,
    bias: a.bias.map((value, n) => value + b.bias[n]),
    inFeatures: ka + kb,
  };
  note('two summed heads into one');
  hints.set(tokens.id, hints.get(a.x)!);
  hints.set(sum.id, mergeHints(hints.get(a.id)!, hints.get(b.id)!));
  return [...nodes.filter((node) => node !== sum && node !== a && node !== b), tokens, head];
};

/** Two whole values one after the other. */
function sideBySide(
  x: string,
  sizeX: number,
  y: string,
  sizeY: number,
): Pick<GatherNode, 'sources' | 'piece' | 'index'> {
  const piece = gcd(sizeX, sizeY);
  if (x === y) return { sources: [x], piece: sizeX, index: Int32Array.of(0, 0) };
  return { sources: [x, y], piece, index: Int32Array.from({ length: (sizeX + sizeY) / piece }, (_, i) => i) };
}
