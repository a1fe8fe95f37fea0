import { broadcastData, sameShape } from '../constant.js';
import { isConstant, isOperation, type Expr } from '../expr.js';
import { coarsen, refine } from '../../graph/layout.js';
import type { RotaryNode } from '../../graph/types.js';
import type { Lowered, Lowerer } from '../lower.js';
import type { Idiom } from './idiom.js';

/**
 * Rotary position: sums x·cos + turned(x)·sin, with channels and tokens that are not turned beside them, in whatever
 * pieces they are put together.
 */
export const rotary: Idiom = {
  name: 'rotary position',
  takesViews: true,
  lower(expr, lowerer) {
    if (!hasTurn(expr)) return null;
    const found = turnOf(expr, lowerer);
    const turn = found && withRoles(found);
    const table = turn && tabulate(turn, lowerer);
    if (!turn || !table) return null;
    const { rows, cols, column } = table;
    const xCols = lowerer.node(turn.source).cols;
    const tables = { cos: lowerer.shared(table.cos), sin: lowerer.shared(table.sin) };
    const node = { op: 'rotary' as const, ...table, x: turn.source, xCols, ...tables };
    const index = turn.own.map((at) => Math.floor(at / xCols) * cols + (at % xCols) - column);
    return lowerer.emit(expr, node, [], expr.shape, coarsen({ piece: 1, index }, [rows * cols]));
  },
};

/** Whether a sum of two products with tables is there; a quick look, before anything is lowered. */
function hasTurn(expr: Expr): boolean {
  if (expr.op === 'view') return expr.sources.some((source) => isTurn(source));
  return isTurn(expr);
}

const isTurn = (expr: Expr): boolean => isOperation(expr, 'add') && expr.inputs.every(isTabled);

/** x times a constant that is no single number, signs and rearrangements after it apart. */
function isTabled(expr: Expr): boolean {
  if (!isOperation(expr, 'mul') || !isConstant(expr.inputs[1])) return false;
  return expr.inputs[1].value.size > 1 || isTabled(expr.inputs[0]);
}

/** Elements of one node's value, each with a factor. */
interface Weighted {
  readonly source: string;
  /** Where each element lies in the source's value. */
  readonly at: Int32Array;
  readonly factor: Float32Array;
}

/** Sums of two elements of one node's value, each with a factor. */
interface Turn {
  readonly source: string;
  readonly own: Int32Array;
  readonly cos: Float32Array;
  readonly other: Int32Array;
  readonly sin: Float32Array;
}

function turnOf(expr: Expr, lowerer: Lowerer): Turn | null {
  if (isTurn(expr) && isOperation(expr, 'add')) {
    const [a, b] = expr.inputs.map((input) => weighted(input, lowerer));
    if (!a || !b || a.source !== b.source || !expr.inputs.every(({ shape }) => sameShape(shape, expr.shape)))
      return null;
    // What is turned is in more pieces.
    const [own, other] = pieces(a.at) <= pieces(b.at) ? [a, b] : [b, a];
    return { source: a.source, own: own.at, cos: own.factor, other: other.at, sin: other.factor };
  }
  if (expr.op !== 'view') {
    const still = weighted(expr, lowerer);
    return still && { source: still.source, own: still.at, cos: still.factor, other: still.at, sin: zeros(still.at) };
  }
  const parts = expr.sources.map((source) => turnOf(source, lowerer));
  const [first] = parts;
  if (!first || parts.some((part) => part?.source !== first.source)) return null;
  const pick = picker(
    expr.layout,
    parts.map((part) => part!.own.length),
  );
  return (
    pick && {
      source: first.source,
      own: pick.integers(parts.map((part) => part!.own)),
      cos: pick.floats(parts.map((part) => part!.cos)),
      other: pick.integers(parts.map((part) => part!.other)),
      sin: pick.floats(parts.map((part) => part!.sin)),
    }
  );
}

const pieces = (at: Int32Array): number =>
  at.reduce((count, from, i) => (from === at[i - 1] + 1 ? count : count + 1), 0);

const zeros = (like: Int32Array): Float32Array => new Float32Array(like.length);

function weighted(expr: Expr, lowerer: Lowerer): Weighted | null {
  if (isOperation(expr, 'mul') && isConstant(expr.inputs[1]) && sameShape(expr.inputs[0].shape, expr.shape)) {
    const inner = weighted(expr.inputs[0], lowerer);
    if (!inner) return null;
    const factors = broadcastData(expr.inputs[1].value, expr.shape);
    return { ...inner, factor: inner.factor.map((f, i) => f * factors[i]) };
  }
  if (expr.op === 'view') {
    const parts = expr.sources.map((source) => weighted(source, lowerer));
    const [first] = parts;
    if (!first || parts.some((part) => part?.source !== first.source)) return null;
    const pick = picker(
      expr.layout,
      parts.map((part) => part!.at.length),
    );
    return (
      pick && {
        source: first.source,
        at: pick.integers(parts.map((part) => part!.at)),
        factor: pick.floats(parts.map((part) => part!.factor)),
      }
    );
  }
  if (expr.op === 'constant' || expr.op === 'image') return null;
  return asWeighted(lowerer.lower(expr));
}

function asWeighted({ sources, layout }: Lowered): Weighted | null {
  const { index } = refine(layout, 1);
  if (sources.length !== 1 || index.includes(-1)) return null;
  return { source: sources[0], at: index, factor: new Float32Array(index.length).fill(1) };
}

/** Takes what a view takes of several lists laid end to end; null where it fills in zeros. */
function picker(layout: { readonly piece: number; readonly index: Int32Array }, lengths: readonly number[]) {
  const { index } = refine(layout, 1);
  if (index.includes(-1)) return null;
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const joined = <T extends Int32Array | Float32Array>(all: T, lists: readonly T[]): T => {
    let start = 0;
    for (const list of lists) {
      all.set(list, start);
      start += list.length;
    }
    return all;
  };
  return {
    integers: (lists: readonly Int32Array[]): Int32Array => {
      const all = joined(new Int32Array(total), lists);
      return index.map((from) => all[from]);
    },
    floats: (lists: readonly Float32Array[]): Float32Array => {
      const all = joined(new Float32Array(total), lists);
      return Float32Array.from(index, (from) => all[from]);
    },
  };
}

/**
 * The same sums, each element of the source being some result's own, where that can be: in a product of complex numbers
 * real and imaginary part have both the same two terms.
 */
function withRoles(turn: Turn): Turn {
  const { own, other, cos, sin } = turn;
  const taken = new Set<number>();
  const swapped = own.map((at, i) => {
    const isTaken = taken.has(at) && sin[i] !== 0;
    taken.add(isTaken ? other[i] : at);
    return isTaken ? 1 : 0;
  });
  return {
    source: turn.source,
    own: own.map((at, i) => (swapped[i] ? other[i] : at)),
    cos: cos.map((factor, i) => (swapped[i] ? sin[i] : factor)),
    other: other.map((at, i) => (swapped[i] ? own[i] : at)),
    sin: sin.map((factor, i) => (swapped[i] ? cos[i] : factor)),
  };
}

/** A turn as a node has it: tables for every row of the source and a run of its columns. */
type Table = Pick<RotaryNode, 'rows' | 'cols' | 'column' | 'partner' | 'cos' | 'sin' | 'tableRows' | 'period'>;

/** Null where channels are mixed in another way from row to row, or across rows. */
function tabulate({ source, own, cos, other, sin }: Turn, lowerer: Lowerer): Table | null {
  const { rows, cols: width } = lowerer.node(source);
  let [column, end] = [width, 0];
  for (const at of own) {
    column = Math.min(column, at % width);
    end = Math.max(end, (at % width) + 1);
  }
  const cols = end - column;
  const partner = new Int32Array(cols).fill(-1);
  // What is not turned stays as it is.
  const [cosines, sines] = [new Float32Array(rows * cols).fill(1), new Float32Array(rows * cols)];
  const seen = new Uint8Array(rows * cols);
  const place = (at: number): number => Math.floor(at / width) * cols + (at % width) - column;
  for (let i = 0; i < own.length; i++) {
    const at = place(own[i]);
    if (seen[at]) return null;
    seen[at] = 1;
    cosines[at] = cos[i];
    sines[at] = sin[i];
    if (sin[i] === 0) continue;
    const [n, mate] = [at % cols, (other[i] % width) - column];
    const isInside = mate >= 0 && mate < cols && Math.floor(other[i] / width) === Math.floor(own[i] / width);
    if (!isInside || (partner[n] >= 0 && partner[n] !== mate)) return null;
    partner[n] = mate;
  }
  if (partner.every((mate) => mate < 0)) return null;
  const table = { cos: cosines, sin: sines, rows, cols };
  return { rows, cols, column, partner: partner.map((mate, n) => (mate < 0 ? n : mate)), ...repeated(table) };
}

/** The least tables that give the whole ones, repeated. */
function repeated({
  cos,
  sin,
  rows,
  cols,
}: Pick<Table, 'cos' | 'sin' | 'rows' | 'cols'>): Pick<Table, 'cos' | 'sin' | 'tableRows' | 'period'> {
  const repeats = (values: Float32Array, tableRows: number, period: number): boolean =>
    values.every((value, i) => value === values[(Math.floor(i / cols) % tableRows) * cols + ((i % cols) % period)]);
  const divisors = (of: number): number[] => Array.from({ length: of }, (_, i) => i + 1).filter((d) => of % d === 0);
  const fits = (tableRows: number, period: number): boolean =>
    repeats(cos, tableRows, period) && repeats(sin, tableRows, period);
  const period = divisors(cols).find((p) => fits(rows, p))!;
  const tableRows = divisors(rows).find((r) => fits(r, period))!;
  const cut = (values: Float32Array): Float32Array =>
    Float32Array.from({ length: tableRows * period }, (_, i) => values[Math.floor(i / period) * cols + (i % period)]);
  return { cos: cut(cos), sin: cut(sin), tableRows, period };
}
