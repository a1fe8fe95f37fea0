import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress } from '../../src/cli/progress.js';

let written = '';

beforeEach(() => {
  written = '';
  vi.useFakeTimers({ toFake: ['performance'] });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test.skipIf(process.stderr.isTTY)('without a terminal a line now and then, with rate and time left', () => {
  const progress = new Progress();
  for (let done = 0; done <= 40; done++) {
    progress.update('Calibrate', done, 40);
    vi.advanceTimersByTime(1000);
  }
  expect(written).toBe(
    'progress: Calibrate 15 of 40, 1/s, 25.0 s left\nprogress: Calibrate 30 of 40, 1/s, 10.0 s left\n',
  );
});

test.skipIf(process.stderr.isTTY)('short work says nothing', () => {
  const progress = new Progress();
  for (const stage of ['Images', 'Calibrate']) for (let done = 0; done <= 10; done++) progress.update(stage, done, 10);
  expect(written).toBe('');
});
