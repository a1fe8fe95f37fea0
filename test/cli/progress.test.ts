import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress, barLine } from '../../src/cli/progress.js';
import { compareSteps, evaluationSteps } from '../../src/cli/stages.js';
import { TimeLeft } from '../../src/cli/time-left.js';

let written = '';

beforeEach(() => {
  written = '';
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test.skipIf(process.stderr.isTTY)('without a terminal a line soon, then now and then, with rate and time left', () => {
  const progress = new Progress();
  for (let done = 0; done <= 40; done++) {
    progress.update('Calibrate', done, 40);
    vi.advanceTimersByTime(1000);
  }
  expect(written.split('\n')).toEqual([
    'progress: Calibrate 2 of 40, 1/s, 38.0 s left',
    'progress: Calibrate 17 of 40, 1/s, 23.0 s left',
    'progress: Calibrate 32 of 40, 1/s, 8.0 s left',
    '',
  ]);
});

test.skipIf(process.stderr.isTTY)('a word on what is read: at once where that takes long, else when it does', () => {
  new Progress().begin('Reading large.onnx', true);
  expect(written).toBe('progress: Reading large.onnx\n');
  const progress = new Progress();
  progress.begin('Reading small.onnx');
  const others = new Progress();
  others.begin('Reading tiny.onnx');
  others.stop();
  vi.advanceTimersByTime(2000);
  expect(written).toBe('progress: Reading large.onnx\nprogress: Reading small.onnx\n');
});

test.skipIf(process.stderr.isTTY)('short work says nothing', () => {
  const progress = new Progress();
  for (const stage of ['Images', 'Calibrate']) for (let done = 0; done <= 10; done++) progress.update(stage, done, 10);
  expect(written).toBe('');
});

test('the time to the end: of the stage, and of those after it at the pace so far', () => {
  const left = new TimeLeft();
  left.plan([
    { stage: 'calibrate', share: 20 },
    { stage: 'measure', share: 10 },
    { stage: 'fit', share: 30 },
  ]);
  // What comes before tells nothing of how fast the model is.
  left.update('images', 0, 10, 0);
  expect(left.update('images', 5, 10, 1000)).toEqual({ rate: 5, stage: 1, whole: null });
  expect(left.update('calibrate', 0, 10, 2000)).toBeNull();
  // Half of 20 in 5 s: 5 s more, and 40 at half a second each.
  expect(left.update('calibrate', 5, 10, 7000)).toEqual({ rate: 1, stage: 5, whole: 25 });
  // 'measure' is left out. 20 and a third of 30 took 15 s.
  left.update('fit', 0, 3, 12_000);
  expect(left.update('fit', 1, 3, 17_000)).toEqual({ rate: 0.2, stage: 10, whole: null });
  // A step that is not the last: 20 took 10 s, half of 10 takes 5 s.
  const other = new TimeLeft();
  other.plan([20, 10, 30].map((share, i) => ({ stage: String(i), share })));
  other.update('0', 0, 1, 0);
  other.update('1', 0, 4, 10_000);
  expect(other.update('1', 2, 4, 15_000)?.whole).toBeCloseTo(5 + 30 * (15 / 25), 10);
});

test('the steps of comparisons: the float model is observed once for an effort; images count', () => {
  const forms = ['shift static', 'lut static'].map((name) => ({ name, effort: 'normal' as const }));
  const steps = compareSteps({ forms, images: 100 });
  expect(steps.map(({ stage }) => stage.replace(/ +/g, ' ').trim())).toEqual([
    'Calibrate shift static',
    'Measure shift static',
    'Quantize shift static',
    'Measure lut static',
    'Quantize lut static',
    'Evaluate',
    'Functions',
    'Time',
  ]);
  const evaluation = (images: number) => compareSteps({ forms, images }).find(({ stage }) => stage === 'Evaluate ')!;
  expect(evaluation(200).share).toBe(2 * evaluation(100).share);
  expect(evaluationSteps(1, 3).map(({ stage }) => stage)).toEqual(['Evaluate  2/3', 'Evaluate  3/3']);
});

test.each([60, 80, 100, 200])('a bar fits %i columns', (width) => {
  const pace = { rate: 8.24, stage: 117.1, whole: 1380 };
  for (const stage of ['Calibrate', 'Calibrate shift dynamic best']) {
    const line = barLine(stage, 115, 256, pace, width);
    expect(line.length).toBeLessThan(width);
    expect(line).toContain('115/256');
    if (width >= 80) expect(line).toMatch(/115\/256 .*about 23 min 0 s to the end$/);
    if (width >= 100) expect(line).toContain('1 min 57 s left');
  }
});
