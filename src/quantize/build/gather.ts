import type { GatherNode } from '../../graph/types.js';
import { uniformScales } from '../decide/encoding.js';
import type { NodeBuilder } from './definition.js';

export const gather: NodeBuilder<GatherNode> = {
  demand: (node, _operand, forms) => forms.get(node.id)!,
  form(node, wanted, { nodes, consumers, inputs }) {
    // One scale for the tensor survives any gather of one source.
    if (wanted === 'fixed') return node.sources.length === 1 ? wanted : 'wide';
    // What it fills in is zero, which a table's input has no code for.
    if (wanted === 'table' && node.index.includes(-1)) return 'wide';
    // Per-channel scales survive a gather only if whole rows move, of one source or of some that are made for it alone
    // to scales of its own; row scales don't.
    const isOwn = (id: string): boolean =>
      wanted === 'operand' && consumers.get(id)!.length === 1 && !node.index.includes(-1);
    const alike = node.sources.length === 1 || node.sources.every(isOwn);
    const wholeRows =
      alike && node.sources.every((id) => nodes.get(id)!.cols === node.cols) && node.piece % node.cols === 0;
    return wholeRows && (inputs.survivesGather || wanted !== 'codes') ? wanted : 'wide';
  },
  build(node, wanted, { builder, request }) {
    const { id, name, rows, cols, piece, index } = node;
    // A source that cannot be written in the wanted form is wide, and so is what is gathered from it.
    const form = node.sources.some((source) => builder.has(source, wanted)) ? wanted : 'wide';
    const nameOf = (source: string): string => request.calibration.plan.nodes.get(source)!.name;
    const sources = node.sources.map((source) =>
      form === 'wide' ? builder.wide(source) : builder.inForm(source, form, cols, nameOf(source)),
    );
    const [first] = sources;
    const fill = first.out.type === 'u8' ? first.out.zero : 0;
    const values = sources.map((source) => source.value);
    builder.define(
      id,
      form,
      { op: 'gather', name, rows, cols, out: first.out, sources: values, piece, index, fill },
      form === 'fixed' ? uniformScales(cols, first.scale[0]) : first,
    );
  },
};
