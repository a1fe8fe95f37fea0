/** How many bits the inputs, weights and softmax weights of each layer get. */
import type { AttentionNode, GraphNode, LinearNode } from '../../graph/types.js';
import type { SoftmaxBits } from '../../program/types.js';
import { MAX_FINE_KEYS } from '../build/scores.js';
import { inputSource, rowsNeeded } from '../plan/queries.js';
import type { Plan } from '../plan/types.js';
import type { Scheme } from '../schemes/scheme.js';
import { askedBits } from './layer-bits.js';

/** What gets more bits, beside what the techniques give as many. */
export interface Sensitive {
  /** Values that linear layers read with 16 bits, by id. */
  readonly inputs: ReadonlySet<string>;
  /** Attentions whose softmax weights have 12, by id. */
  readonly softmax: ReadonlySet<string>;
  /** Linear layers with a residual weight plane, by id. */
  readonly weights: ReadonlySet<string>;
  /** Bits of the weights of layers that have others than the rest, by id. */
  readonly weightBits: ReadonlyMap<string, number>;
}

export const NOTHING_SENSITIVE: Sensitive = {
  inputs: new Set(),
  softmax: new Set(),
  weights: new Set(),
  weightBits: new Map(),
};

export class BitWidths {
  constructor(
    private readonly plan: Plan,
    private readonly scheme: Scheme,
    private readonly sensitive: Sensitive,
  ) {}

  /** Whether so few rows of a node reach the output that more bits of them cost next to nothing. */
  hasFewRows(node: GraphNode): boolean {
    return rowsNeeded(this.plan, node) <= this.scheme.techniques.fewRows;
  }

  /** Bits of a linear layer's input. */
  input(node: LinearNode): 8 | 16 {
    const asked = askedBits(node.name, this.scheme.layerBits);
    if (asked !== undefined) return asked;
    return this.hasFewRows(node) || this.sensitive.inputs.has(inputSource(this.plan, node.x)) ? 16 : 8;
  }

  /** Bits of a layer's weights; of the first plane, where there are two. */
  weights({ id, weightsOf }: Pick<LinearNode, 'id' | 'weightsOf'>): number {
    return this.sensitive.weightBits.get(weightsOf ?? id) ?? this.scheme.techniques.fit.weightBits;
  }

  /** Planes of a linear layer's weights: 2 with a residual weight plane. */
  weightPlanes({ id, weightsOf }: LinearNode): 1 | 2 {
    const { weights } = this.sensitive;
    return weights.has(id) || weights.has(weightsOf ?? '') ? 2 : 1;
  }

  /** Bits of an attention's softmax weights. */
  softmax(node: AttentionNode): SoftmaxBits {
    const isCheap = this.hasFewRows(node) && node.keys <= MAX_FINE_KEYS;
    return isCheap || this.sensitive.softmax.has(node.id) ? 12 : 8;
  }
}
