/** How the operands of attention are written. */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { InputError } from '../../errors.js';
import type { AttentionNode } from '../../graph/types.js';
import { scoreMultipliers, SCORE_BITS } from '../build/scores.js';
import { moves } from '../plan/queries.js';
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
    const scale = new Float64Array(this.statistics.get(id)!.channels).fill(1);
    const center = new Float64Array(scale.length);
    for (const [column, claim] of this.claimsOn(id)) {
      scale[column] = claim.scale;
      center[column] = claim.center;
    }
    return { scale, center };
  }

  /** What attentions want of a value's columns, those too that read what is moved out of it. */
  private claimsOn(id: string): Map<number, Claim> {
    const { plan } = this;
    const claims = new Map<number, Claim>();
    const add = (column: number, claim: Claim, name: string): void => {
      const other = claims.get(column);
      // Two attentions may read the same operand, if they want the same of it.
      if (other !== undefined && !isSame(other, claim)) {
        throw new InputError(`layer ${name}: one tensor serves as two operands of attention, which is not supported`);
      }
      claims.set(column, claim);
    };
    for (const node of plan.attentions.get(id) ?? []) {
      const scales = this.of(node);
      for (const role of ['q', 'k', 'v'] as const) {
        const view = node[role];
        if (view.source !== id) continue;
        const { scale, center } = scales[role];
        for (let h = 0; h < node.heads; h++) {
          for (let c = 0; c < (role === 'v' ? node.valueDim : node.dim); c++) {
            const column = viewColumn(view, scale.length, h, c);
            add(column, { role, scale: scale[column], center: center[column] }, node.name);
          }
        }
      }
    }
    for (const user of plan.consumers.get(id)!) {
      if (!moves(user) || plan.form.get(user.id) !== 'operand') continue;
      for (const [column, claim] of this.claimsOn(user.id)) add(column, claim, user.name);
    }
    return claims;
  }
}

/** What an attention wants of a column. */
interface Claim {
  readonly role: 'q' | 'k' | 'v';
  readonly scale: number;
  readonly center: number;
}

const isSame = (a: Claim, b: Claim): boolean => a.role === b.role && a.scale === b.scale && a.center === b.center;
