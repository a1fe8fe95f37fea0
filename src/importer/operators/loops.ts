/** Loops whose number of turns is known when the model is imported: each turn is translated for itself. */
import { Constant } from '../constant.js';
import { isConstant, type Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';

/** No Vision Transformer loops as often; more is a damaged or hostile file. */
const MAX_TURNS = 4096;

const tooMany = (): Unsupported =>
  new Unsupported(
    `a loop of more than ${MAX_TURNS} turns`,
    'export the model with its loops unrolled (torch.onnx does)',
  );

function truth(expr: Expr): boolean {
  if (isConstant(expr)) return expr.value.data[0] !== 0;
  throw new Unsupported(
    'whether the loop goes on depends on the image',
    'only loops of a known number of turns are supported: export the model without data-dependent steps',
  );
}

/** Tensors of one shape, one for each turn, along a new first axis. */
function stacked(c: OperatorContext, parts: readonly Expr[]): Expr {
  if (parts.length === 0) return c.b.constant(Constant.of([0], 'float', new Float64Array(0)));
  return joined(c, parts, 0);
}

/** The same along a new axis that may be another. */
function joined(c: OperatorContext, parts: readonly Expr[], axis: number): Expr {
  const grown = parts.map((part) => c.b.reshape(part, [...part.shape.slice(0, axis), 1, ...part.shape.slice(axis)]));
  return c.b.concat(grown, axis);
}

/** Values carried from turn to turn, then what each turn adds to the results. */
const loop: Operator = (c) => {
  const body = c.graph('body');
  const most = c.has(0) ? c.integers(0)[0] : Infinity;
  let carried = c.inputs.slice(2).map((_, i) => c.input(i + 2));
  const turns: (readonly Expr[])[] = [];
  let goesOn = !c.has(1) || truth(c.input(1));
  for (let turn = 0; goesOn && turn < most; turn++) {
    if (turn === MAX_TURNS) throw tooMany();
    const number = c.b.constant(Constant.scalar(turn, 'int'));
    const condition = c.b.constant(Constant.scalar(1, 'bool'));
    const [next, ...results] = c.services.subgraph(body, [number, condition, ...carried]);
    carried = results.slice(0, carried.length);
    turns.push(results.slice(carried.length));
    goesOn = truth(next);
  }
  const added = body.outputs.length - 1 - carried.length;
  return [
    ...carried,
    ...Array.from({ length: added }, (_, k) =>
      stacked(
        c,
        turns.map((turn) => turn[k]),
      ),
    ),
  ];
};

/** Like a loop over the slices of its last inputs. */
const scan: Operator = (c) => {
  const body = c.graph('body');
  const scanned = c.int('num_scan_inputs', 1);
  const inputs = c.inputs.map((_, i) => c.input(i));
  let carried = inputs.slice(0, inputs.length - scanned);
  const sources = inputs.slice(carried.length);
  const list = (name: string, length: number): number[] => c.intsOr(name, null) ?? new Array<number>(length).fill(0);
  const axes = list('scan_input_axes', scanned).map((axis, i) => c.axis(axis, sources[i].shape.length));
  const isBackward = list('scan_input_directions', scanned);
  const count = sources[0].shape[axes[0]];
  if (count > MAX_TURNS) throw tooMany();
  const turns = Array.from({ length: count }, (_, turn) => {
    const slices = sources.map((x, i) => {
      const at = isBackward[i] === 1 ? count - 1 - turn : turn;
      const taken = c.b.take(
        x,
        x.shape.map((__, axis) => (axis === axes[i] ? [at] : null)),
      );
      return c.b.reshape(
        taken,
        x.shape.filter((__, axis) => axis !== axes[i]),
      );
    });
    const results = c.services.subgraph(body, [...carried, ...slices]);
    carried = results.slice(0, carried.length);
    return results.slice(carried.length);
  });
  const added = body.outputs.length - carried.length;
  const outAxes = list('scan_output_axes', added);
  const isReversed = list('scan_output_directions', added);
  const outputs = Array.from({ length: added }, (_, k) => {
    const parts = turns.map((turn) => turn[k]);
    if (isReversed[k] === 1) parts.reverse();
    return joined(c, parts, c.axis(outAxes[k], parts[0].shape.length + 1));
  });
  return [...carried, ...outputs];
};

export const loopOperators: Readonly<Record<string, Operator>> = { Loop: loop, Scan: scan };
