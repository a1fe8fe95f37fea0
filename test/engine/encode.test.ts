import { describe, expect, test } from 'vitest';
import {
  HEADER_WORDS,
  LAYOUT_WORDS,
  STEP_WORDS,
  VALUE_WORDS,
  encodeHeader,
  encodeLayout,
  encodeSteps,
} from '../../src/engine/encode.js';
import { encodings } from '../../src/engine/ops/index.js';
import { countOf } from '../../src/engine/ops/words.js';
import { planWork, workOfProgram } from '../../src/engine/plan/index.js';
import { tinyProgram } from '../program/tiny.js';

const work = workOfProgram(tinyProgram());
const plan = planWork(work, { rows: 4, cols: 16 });

describe('a plan in words', () => {
  test('steps have their op’s words and constants, neither more nor less', () => {
    const steps = encodeSteps(plan, work);
    expect(steps).toHaveLength(plan.steps.length);
    const kinds = new Set<string>();
    steps.forEach(({ words, constants }, i) => {
      const { op } = plan.steps[i];
      if (op === null) return expect(words).toHaveLength(countOf(STEP_WORDS));
      kinds.add(op.op);
      const open = op.op === 'gather' ? plan.steps[i].operands.length : 0;
      expect(words.length, op.name).toBe(countOf(STEP_WORDS) + countOf(encodings[op.op].words) + open);
      expect(constants.length, op.name).toBe(encodings[op.op].constants.length);
    });
    expect(kinds.size).toBeGreaterThan(8);
  });

  test('the header counts values, steps and stages, and limits memory', () => {
    expect([...encodeHeader(plan, 1e9)]).toEqual([plan.values.length, plan.steps.length, plan.stages.length, 1e9, 0]);
    expect(countOf(HEADER_WORDS)).toBe(encodeHeader(plan, 0).length);
  });

  test('offsets and sizes past 2^31 stay what they are', () => {
    const far = 3 * 2 ** 31 + 64;
    const moved = { ...plan, arenaBytes: far, places: plan.places.map((place) => ({ ...place, offset: far })) };
    const words = encodeLayout(moved);
    const wide = (at: number): number => words[at + 1] * 2 ** 32 + (words[at] >>> 0);
    expect(wide(0)).toBe(far);
    for (let i = 0; i < plan.values.length; i++)
      expect(wide(countOf(LAYOUT_WORDS) + i * countOf(VALUE_WORDS) + 1)).toBe(far);
  });
});
