import { describe, expect, test, vi } from 'vitest';
import { InputError } from '../../src/errors.js';
import { buildToTarget, checkTarget } from '../../src/quantize/target.js';
import { DEFAULT_OPTIONS, type QuantizeResult } from '../../src/quantize/index.js';
import { tinyGraph } from '../cli/ivit.js';

const graph = tinyGraph(1);
const layers = [
  { id: 'a', count: 64_000, cols: 64, error: 0.3, asked: undefined },
  { id: 'b', count: 32_000, cols: 64, error: 0.1, asked: undefined },
];
const coded = (bits: ReadonlyMap<string, number>): number =>
  layers.reduce((sum, { id, count, cols }) => {
    const width = bits.get(id)!;
    const factors = width === 8 ? 0 : (4 * cols * Math.ceil(count / cols / 32)) / 8 + 2 ** width;
    return sum + (count * width) / 8 + factors;
  }, 0);

/** A builder of files that have so many bytes beside weights. */
function building(otherBytes: number) {
  const sizes = new Map<QuantizeResult, number>();
  const build = vi.fn((bits: ReadonlyMap<string, number>, _attempt: number) => {
    const result = {} as QuantizeResult;
    sizes.set(result, coded(bits) + otherBytes);
    return Promise.resolve(result);
  });
  return { build, sizeOf: (result: QuantizeResult) => sizes.get(result)! };
}

test.each([0, 5_000, 20_000, 60_000])('a file with %i bytes beside weights has no more than it may', async (other) => {
  const { build, sizeOf } = building(other);
  const targetSize = 110_000;
  const result = await buildToTarget({ graph, layers, build, sizeOf, target: { bytes: targetSize } });
  expect(sizeOf(result)).toBeLessThanOrEqual(targetSize);
  // One bit more of the smaller layer would not have fitted.
  expect(sizeOf(result) + 1024 + 32_000 / 8).toBeGreaterThan(
    Math.min(
      targetSize,
      coded(
        new Map([
          ['a', 8],
          ['b', 8],
        ]),
      ) + other,
    ),
  );
  expect(build.mock.calls.map(([, attempt]) => attempt)).toEqual(build.mock.calls.map((_, i) => i + 1));
  expect(build.mock.calls.length).toBeLessThanOrEqual(3);
});

test('a size that not even 2 bits fit is refused, with the least that does', async () => {
  const { build, sizeOf } = building(5_000);
  const small = (targetSize: number) => buildToTarget({ graph, layers, build, sizeOf, target: { bytes: targetSize } });
  await expect(small(20_000)).rejects.toThrow(InputError);
  await expect(small(20_000)).rejects.toThrow(/it takes about \d+ kB \(--target-size\)/);
});

test('bits on average are those of weights alone', async () => {
  const { build } = building(0);
  await buildToTarget({ graph, layers, build, target: { bits: 4 }, sizeOf: undefined });
  const [[bits]] = build.mock.calls as [[ReadonlyMap<string, number>, number]];
  expect(64_000 * bits.get('a')! + 32_000 * bits.get('b')!).toBeLessThanOrEqual(4 * 96_000);
  expect(bits.get('a')!).toBeGreaterThanOrEqual(4);
});

test('fewer bits than are asked for some layers are refused', async () => {
  const { build } = building(0);
  const asked = layers.map((layer) => ({ ...layer, asked: 6 }));
  const target = { bits: 4 };
  await expect(buildToTarget({ graph, layers: asked, build, target, sizeOf: undefined })).rejects.toThrow(
    /--weight-bits.*--target-bits/,
  );
  expect(build).not.toHaveBeenCalled();
});

describe('the fewest bits that keep the decisions', () => {
  /** A builder of models that decide as the float model does from so many bits of all weights on. */
  const deciding = (least: number) =>
    vi.fn((bits: ReadonlyMap<string, number>) => {
      const mean = layers.reduce((sum, { id, count }) => sum + count * bits.get(id)!, 0) / 96_000;
      return Promise.resolve({
        mean,
        agreement: { top1Agreement: mean >= least ? 1 : 0.9 },
      } as never as QuantizeResult);
    });
  const toDrop = (build: ReturnType<typeof deciding>, drop: number) =>
    buildToTarget({ graph, layers, build, sizeOf: undefined, target: { drop } });

  test.each([2, 3.1, 5, 8])('%d bits', async (least) => {
    const build = deciding(least);
    const { mean } = (await toDrop(build, 0.5)) as never as { mean: number };
    expect(mean).toBeGreaterThanOrEqual(least);
    expect(mean).toBeLessThan(least + 1);
    expect(build.mock.calls.length).toBeLessThanOrEqual(5);
  });

  test('where none do', async () => {
    await expect(toDrop(deciding(9), 0.5)).rejects.toThrow(/Even with 8 bits, more than 0.5 %/);
    expect(await toDrop(deciding(9), 10)).toBeDefined();
  });
});

test('a model without classes has no decisions to keep', () => {
  const check = (isClasses: boolean) => () =>
    checkTarget(
      { ...graph, outputs: graph.outputs.map((output) => ({ ...output, isClasses })) },
      { ...DEFAULT_OPTIONS, target: { drop: 1 } },
    );
  expect(check(true)).not.toThrow();
  expect(check(false)).toThrow(/no decisions to keep/);
});
