/** How the operands of attention are written. */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { InputError } from '../../errors.js';
import type { AttentionNode } from '../../graph/types.js';
import { scoreMultipliers, SCORE_BITS } from '../build/scores.js';
import type { Plan } from '../plan/types.js';
import type { Scheme } from '../schemes/scheme.js';
import type { ChannelScales } from './encoding.js';
import { operandScales, tensorOperandScales, viewColumn, type OperandScales } from './operand-scales.js';

export class OperandEncodings {
  private readonly known = new Map<string, OperandScales>();

  constructor(
    private readonly plan: Plan,
    private readonly statistics: ReadonlyMap<string, ChannelStatistics>,
    private readonly scheme: Scheme,
  ) {}

  /** Scales of an attention's operands. */
  of(node: AttentionNode): OperandScales {
    let scales = this.known.get(node.id);
    if (scales === undefined) {
      const { choosesScales, range } = this.scheme.techniques;
      scales = choosesScales ? this.raised(node) : tensorOperandScales(node, this.statistics, range);
      this.known.set(node.id, scales);
    }
    return scales;
  }

  private raised(node: AttentionNode): OperandScales {
    const { range } = this.scheme.techniques;
    const scales = operandScales(node, this.statistics, range, this.plan.form.get(node.id) === 'codes');
    // Rounding each head's product up makes its score multiplier exact in few bits.
    const wanted = scales.product.map((s, h) => s * node.scale[h] * Math.LOG2E * 2 ** SCORE_BITS);
    const multipliers = scoreMultipliers(wanted, node.dim);
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
  columnsOf(id: string): ChannelScales {
    const { plan } = this;
    // What is gathered has the scales of what it becomes part of.
    const gather = plan.consumers.get(id)!.find((user) => user.op === 'gather' && plan.form.get(user.id) === 'operand');
    if (gather !== undefined) return this.columnsOf(gather.id);
    const attentions = plan.attentions.get(id) ?? [];
    const scale = new Float64Array(this.statistics.get(id)!.channels).fill(1);
    const center = new Float64Array(scale.length);
    const owner = new Map<number, string>();
    for (const node of attentions) {
      const scales = this.of(node);
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
