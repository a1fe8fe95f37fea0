import { describe, expect, test } from 'vitest';
import type { ModelOutput } from '../../src/metrics/output.js';
import { checkOutputs, isDefault, outputsByDefault } from '../../src/program/output.js';
import { tinyProgram } from './tiny.js';

const program = tinyProgram(); // 3 classes
const output = (change: Partial<ModelOutput>): ModelOutput => ({
  name: 'a',
  shape: [3],
  start: 0,
  tail: [],
  isClasses: false,
  ...change,
});

test('a program by itself has one output of classes called logits', () => {
  const [logits] = outputsByDefault(program);
  expect(logits).toEqual({ name: 'logits', shape: [3], start: 0, tail: [], isClasses: true });
  expect(isDefault([logits], program)).toBe(true);
  expect(isDefault([{ ...logits, name: 'y' }], program)).toBe(false);
});

test.each<[string, ModelOutput[]]>([
  ['two in a row', [output({ shape: [1] }), output({ name: 'b', shape: [2], start: 1 })]],
  ['in any order', [output({ shape: [2], start: 1 }), output({ name: 'b', shape: [1] })]],
  ['two of the same numbers', [output({}), output({ name: 'b', tail: [{ op: 'softmax', axis: 0 }] })]],
])('%s are accepted', (_, outputs) => expect(() => checkOutputs(outputs, program)).not.toThrow());

describe('a list of outputs that does not fit is refused', () => {
  test.each<[string, ModelOutput[], RegExp]>([
    ['none', [], /is empty/],
    ['a name twice', [output({}), output({})], /not unique/],
    ['no name', [output({ name: '' })], /empty or not unique/],
    ['a gap', [output({ shape: [1] }), output({ name: 'b', shape: [1], start: 2 })], /begins at 2, not at 1/],
    ['an overlap', [output({ shape: [2] }), output({ name: 'b', shape: [2], start: 1 })], /begins at 1, not at 2/],
    ['too few numbers', [output({ shape: [2] })], /have 2 numbers, its program gives 3/],
    ['half of the same numbers', [output({}), output({ name: 'b', shape: [2] })], /some of their numbers only/],
    ['an axis that is not there', [output({ tail: [{ op: 'argMax', axis: 1 }] })], /no axis 1/],
  ])('%s', (_, outputs, reason) => expect(() => checkOutputs(outputs, program)).toThrow(reason));
});
