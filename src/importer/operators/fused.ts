/** ONNX Runtime's operators that are standard ones with what goes before or follows, or in another order of axes. */
import { InputError } from '../../errors.js';
import type { OnnxAttribute } from '../../onnx/index.js';
import { activation } from '../idioms/activation.js';
import { lookup } from '../idioms/lookup.js';
import type { Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';
import { arithmeticOperators } from './arithmetic.js';
import { convolutionOperators } from './convolution.js';
import { constantOperators } from './constants.js';
import { layoutOperators } from './layout.js';
import { channelsInGroups } from './normalization.js';
import { samplingOperators } from './sampling.js';

const activations: Readonly<Record<string, Operator>> = {
  ...arithmeticOperators,
  ...activation.operators,
  ...lookup.operators,
};

/** What the numbers behind an activation mean, in their order. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  Clip: ['min', 'max'],
  Elu: ['alpha'],
  HardSigmoid: ['alpha', 'beta'],
  LeakyRelu: ['alpha'],
  Selu: ['alpha', 'gamma'],
  QuickGelu: ['alpha'],
};

const only = (expr: Expr | readonly Expr[]): Expr => (Array.isArray(expr) ? (expr as Expr[])[0] : (expr as Expr));

const floatAttribute = (name: string, number: number): [string, OnnxAttribute] => [
  name,
  { name, value: { type: 'float', number }, reference: '' },
];

/** x after the activation that the node names, if any. */
function activated(c: OperatorContext, x: Expr): Expr {
  const name = c.text('activation', '');
  if (name === '') return x;
  const operator = activations[name] ?? activations[`com.microsoft::${name}`];
  if (!operator)
    throw new Unsupported(`the activation ${name} is not known`, 'optimise the model at ORT_ENABLE_BASIC instead');
  const numbers = c.floatsOr('activation_params', []);
  const named = (PARAMETERS[name] ?? []).flatMap((parameter, i) => {
    const given = c.node.attributes.has(`activation_${parameter}`);
    const value = given ? c.float(`activation_${parameter}`, 0) : numbers[i];
    return (value as number | undefined) === undefined ? [] : [floatAttribute(parameter, value)];
  });
  return only(operator(c.as([x], new Map(named))));
}

/** A standard operator of the first three inputs; what the fourth holds is added before the activation. */
const thenActivation =
  (operator: Operator): Operator =>
  (c) => {
    const out = only(operator(c.as(c.inputs.slice(0, 3))));
    return activated(c, c.has(3) ? c.b.add(out, c.input(3)) : out);
  };

const fusedConv = thenActivation(convolutionOperators.Conv);

const channelsLast = (c: OperatorContext, x: Expr): Expr => c.b.transpose(x, [0, 2, 3, 1]);
const channelsFirst = (c: OperatorContext, x: Expr): Expr => c.b.transpose(x, [0, 3, 1, 2]);

/** An operator on maps [N, C, H, W], for maps [N, H, W, C]; so are its filters where `filtersToo`. */
const onChannelsLast =
  (operator: Operator, filtersToo: boolean): Operator =>
  (c) => {
    if (c.input(0).shape.length !== 4 || c.input(1).shape.length !== 4)
      throw new InputError(`a map has four axes, not ${c.input(0).shape.length}`);
    const inputs = [...c.inputs];
    inputs[0] = channelsFirst(c, c.input(0));
    if (filtersToo) inputs[1] = channelsFirst(c, c.input(1));
    if (c.has(3)) inputs[3] = channelsFirst(c, c.input(3));
    return channelsLast(c, only(operator(c.as(inputs))));
  };

/** Pads come as an input. */
const convTransposeWithDynamicPads: Operator = (c) => {
  const bias = c.inputs[3] ?? null;
  const pads = c.has(2) ? c.integers(2) : c.intsOr('pads', null);
  const attributes = new Map(c.node.attributes);
  if (pads) attributes.set('pads', { name: 'pads', value: { type: 'ints', numbers: pads }, reference: '' });
  return convolutionOperators.ConvTranspose(c.as([c.input(0), c.input(1), bias], attributes));
};

/** GroupNorm of maps [N, H, W, C] unless `channels_last` is 0, with SiLU after it where it says so. */
function groupNorm(c: OperatorContext, x: Expr): Expr {
  const isLast = c.int('channels_last', 1) !== 0;
  const normal = channelsInGroups(c, isLast ? channelsFirst(c, x) : x, {
    groups: c.int('groups', 1),
    gamma: c.input(1),
    beta: c.input(2),
  });
  const out = c.int('activation', 0) === 1 ? c.b.mul(normal, c.b.scalarOp('sigmoid', normal)) : normal;
  return isLast ? channelsLast(c, out) : out;
}

/** GroupNorm of a sum, which is the second output. */
const skipGroupNorm: Operator = (c) => {
  let skip = c.input(3);
  const [n, channels] = skip.shape;
  if (skip.shape.length === 2) skip = c.b.reshape(skip, [n, 1, 1, channels]);
  let sum = c.b.add(c.input(0), skip);
  if (c.has(4)) sum = c.b.add(sum, c.input(4));
  return [groupNorm(c, sum), sum];
};

/** The first half of the channels times the GELU of the second. */
const biasSplitGelu: Operator = (c) => {
  const x = c.b.add(c.input(0), c.input(1));
  const half = x.shape.at(-1)! / 2;
  if (!Number.isInteger(half)) throw new InputError(`${x.shape.at(-1)!} channels cannot be halved`);
  const part = (start: number): Expr =>
    c.b.take(
      x,
      x.shape.map((_, axis) => (axis < x.shape.length - 1 ? null : Array.from({ length: half }, (__, i) => start + i))),
    );
  return c.b.mul(part(0), c.b.scalarOp('gelu', part(half)));
};

const expandDims: Operator = (c) => {
  const x = c.input(0);
  const axis = c.axis(c.integers(1)[0], x.shape.length + 1);
  return c.b.reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
};

export const fusedOperators: Readonly<Record<string, Operator>> = {
  'com.microsoft::FusedConv': fusedConv,
  'com.microsoft::FusedGemm': thenActivation(arithmeticOperators.Gemm),
  'com.microsoft::NhwcConv': onChannelsLast(convolutionOperators.Conv, true),
  'com.microsoft::NhwcFusedConv': onChannelsLast(fusedConv, false),
  'com.microsoft::ConvTransposeWithDynamicPads': convTransposeWithDynamicPads,
  'com.microsoft::GroupNorm': (c) => groupNorm(c, c.input(0)),
  'com.microsoft::SkipGroupNorm': skipGroupNorm,
  'com.microsoft::BiasAdd': (c) => c.b.add(c.b.add(c.input(0), c.input(1)), c.input(2)),
  'com.microsoft::BiasSplitGelu': biasSplitGelu,
  'com.microsoft::ExpandDims': expandDims,
  'com.microsoft::GridSample': samplingOperators.GridSample,
  'com.microsoft::Pad': layoutOperators.Pad,
  'com.microsoft::Trilu': constantOperators.Trilu,
};
