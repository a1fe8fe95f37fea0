import { describe, expect, test } from 'vitest';
import { importModel } from '../../../src/importer/index.js';
import { random, writeModel } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, TOKENS, withStem } from '../idioms/stem.js';

const initializers = {
  w: random([CHANNELS, 5], 5),
  m: random([TOKENS, TOKENS], 6),
  v: random([CHANNELS], 7),
};

describe('Einsum', () => {
  test.each([
    ['a linear layer', 'x, w', 'bnk,km->bnm'],
    ['its operands in the other order', 'w, x', 'km,bnk->bnm'],
    ['an ellipsis', 'x, w', '...k,km->...m'],
    ['a result with its axes turned', 'x, w', 'bnk,km->mbn'],
    ['a product of two activations', 'x, x', 'bnc,bmc->bnm'],
    ['a sum over both', 'x, x', 'bnc,bnd->bcd'],
    ['an axis of one operand alone', 'x, w', 'bnk,km->bn'],
    ['one operand, an axis summed', 'x', 'bnc->cb'],
    ['one operand, turned', 'x', 'bnc->bcn'],
    ['three operands', 'm, x, w', 'nt,btk,km->bnm'],
    ['a vector', 'x, v', 'bnc,c->bn'],
    ['elementwise', 'x, v', 'bnc,c->bnc'],
    ['no arrow', 'x, w', 'bnk,km'],
  ])('%s', async (_, inputs, equation) => {
    await importAndCompare({ nodes: nodesOf(`y = Einsum(${inputs}; equation="${equation}")`), initializers });
  });

  test('a diagonal is refused', async () => {
    const nodes = nodesOf('y = Einsum(x, m; equation="bnc,nn->bnc")');
    await expect(importModel(writeModel(withStem({ nodes, initializers })))).rejects.toThrow(/diagonal/);
  });
});
