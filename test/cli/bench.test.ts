import { beforeAll, describe, expect, test } from 'vitest';
import { ivit, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyOnnx(folder.path('float.onnx'));
  const { code, stderr } = await ivit(
    ['quantize', 'float.onnx', '-o', 'quantized.ivit', '--num-images', '4', '--effort', 'fast'],
    { cwd: folder.path() },
  );
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
});

const bench = (...args: string[]) => ivit(['bench', '-r', '1', ...args], { cwd: folder.path() });

/** Another program, which answers each line. */
const PEER = `"${process.execPath}" -e "process.stdin.on('data', () => console.log('done'))"`;

describe('bench', () => {
  test('beside ONNX Runtime: ratios are those of the medians', async () => {
    const { code, stdout } = await bench(
      '-m',
      'quantized.ivit',
      '--float',
      'float.onnx',
      '--format',
      'json',
      '--profile',
    );
    expect(code).toBe(0);
    const { machine, results, profiles } = JSON.parse(stdout);
    expect(machine.node).toBe(process.version);
    expect(machine.othersShare).toBeGreaterThanOrEqual(0);
    expect(machine.othersShare).toBeLessThanOrEqual(1);
    const [native] = results;
    expect(native).toMatchObject({
      runtime: expect.stringMatching(/^ivit native \(/),
      precision: 'quantized',
      threads: 1,
    });
    const rivals = results.filter((r: { runtime: string }) => r.runtime === 'onnxruntime-node');
    expect(rivals.map((r: { precision: string }) => r.precision)).toEqual(['float', 'int8 dynamic', 'int8 static']);
    expect(native.againstFloat).toBeCloseTo(rivals[0].median / native.median, 9);
    expect(native.againstInt8).toBeCloseTo(Math.min(rivals[1].median, rivals[2].median) / native.median, 9);
    expect(rivals[0]).toMatchObject({ againstFloat: null, againstInt8: null });
    expect(results.some((r: { runtime: string }) => r.runtime.startsWith('ivit wasm'))).toBe(true);
    expect(profiles.at(-1)).toMatchObject({
      isa: expect.stringMatching(/^(relaxed-dot|simd128)$/),
      threads: 1,
      peak: null,
    });
    for (const { kinds } of profiles) {
      expect(kinds.reduce((sum: number, { share }: { share: number }) => sum + share, 0)).toBeCloseTo(1, 9);
    }
  });

  test('several models and thread counts, as a table and as CSV', async () => {
    const { code, stdout } = await bench('-m', 'tiny.ivit', 'tiny.ivit', '--threads', '1,2');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ +runtime +model +median/m);
    expect(stdout.match(/^ +ivit native/gm)).toHaveLength(4);
    const csv = await bench('-m', 'tiny.ivit', '--format', 'csv', '--peer', PEER);
    expect(csv.stdout.split('\n')[0]).toBe(
      'runtime,model,threads,median_ms,least_ms,p10_ms,p90_ms,images_per_second,against_float,against_int8,sqnr_db',
    );
    expect(csv.stdout).toMatch(/^ivit native \(\w+\),tiny,1,[\d.]+,/m);
    expect(csv.stdout).toMatch(/,peer,,[\d.]+,[\d.]+,/);
  });

  test('wrong thread counts are refused', async () => {
    for (const list of ['0', '1,x', '2,2', '']) {
      const { code, stderr } = await bench('-m', 'tiny.ivit', '--threads', list);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error: .*--threads/);
    }
  });
});
