/**
 * What `--stats` spares a second quantization on the same images: one with defaults saves statistics; then, in turns, a
 * quantization with fewer bits of weights without them and with them, each in a process of its own. Both must give the
 * same bytes. Prints the table of docs/performance.md.
 *
 *     npm run bench:quantize-again -- model.onnx calibration/
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { quantize } from '../../src/api/quantize.js';
import type { QuantizeRequest } from '../../src/api/requests.js';

interface Cost {
  readonly seconds: number;
  /** Of all threads. */
  readonly processorSeconds: number;
}

/** Quantizes in this process. */
async function measure(model: string, request: QuantizeRequest): Promise<Cost> {
  const { seconds } = await quantize(model, request);
  const { user, system } = process.cpuUsage();
  return { seconds, processorSeconds: (user + system) / 1e6 };
}

/** The same in a process of its own. */
function costOf(model: string, request: QuantizeRequest): Cost {
  const run = [process.argv[1], '--one', model, JSON.stringify(request)];
  const { status, stdout, stderr } = spawnSync(process.execPath, run, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Cost;
}

function compare(model: string, images: string): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-quantize-again-'));
  const at = (name: string): string => path.join(folder, name);
  const row = (cells: readonly (string | number)[]): void => void process.stdout.write(`| ${cells.join(' | ')} |\n`);
  const told = (cost: Cost): string[] => [`${cost.seconds.toFixed(1)} s`, `${cost.processorSeconds.toFixed(0)} s`];
  try {
    row(['bits', 'without', 'processor', 'with `--stats`', 'processor', 'share', 'of the processor']);
    row(Array.from({ length: 7 }, () => '---:'));
    const saving = costOf(model, { images, output: at('8.ivit'), saveStats: at('8.stats') });
    row(['8, `--save-stats`', ...told(saving), '', '', '', '']);
    for (const weightBits of [6, 4] as const) {
      const alone = costOf(model, { images, weightBits, output: at('alone.ivit') });
      const again = costOf(model, { images, weightBits, output: at('again.ivit'), stats: [at('8.stats')] });
      if (!readFileSync(at('alone.ivit')).equals(readFileSync(at('again.ivit'))))
        throw new Error(`${weightBits} bits: other bytes with statistics than without`);
      const share = (of: keyof Cost): string => `${((100 * again[of]) / alone[of]).toFixed(0)} %`;
      row([weightBits, ...told(alone), ...told(again), share('seconds'), share('processorSeconds')]);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [first, second, third] = process.argv.slice(2);
if (first === '--one')
  process.stdout.write(JSON.stringify(await measure(second, JSON.parse(third) as QuantizeRequest)));
else compare(first, second);
