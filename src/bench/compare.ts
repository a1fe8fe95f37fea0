import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { defaultRuntime } from '../calibrate/runtime.js';
import type { Program } from '../program/types.js';
import { integerContender, onnxContender, onnxForms } from './contenders.js';
import { measure } from './measure.js';
import { peerContender } from './peer.js';
import type { Contender, Timing } from './measure.js';

/** An integer model under its name. */
export interface NamedProgram {
  readonly name: string;
  readonly program: Program;
  readonly maxMemory?: number;
}

export interface ComparisonRequest {
  readonly models: readonly NamedProgram[];
  /** The float model, for ONNX Runtime. */
  readonly float?: string;
  /** Commands of other programs, as `peerContender` takes them. */
  readonly peers: readonly string[];
  readonly threads: readonly number[];
  readonly rounds: number;
  readonly onNotice: (text: string) => void;
  readonly onRound?: (done: number) => void;
}

/** A timing, with how many times faster it is than ONNX Runtime in the same host with as many threads. */
export interface Compared extends Timing {
  /** Median over median: against float, and against the faster of the int8 forms. Null for ONNX Runtime itself. */
  readonly againstFloat: number | null;
  readonly againstInt8: number | null;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly platform: string;
  readonly node: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 2 ** 30),
    platform: `${platform()} ${arch()}`,
    node: process.version,
  };
}

/** Which ONNX Runtime a backend stands against: the one of the same kind of host. */
const RIVALS = { native: 'onnxruntime-node', wasm: 'onnxruntime-web' } as const;

/** Times the integer models on every backend, and the float model's forms on ONNX Runtime, in interleaved turns. */
export async function compare(request: ComparisonRequest): Promise<Compared[]> {
  const contenders: Contender[] = [];
  try {
    await gather(request, contenders);
    for (const peer of request.peers) contenders.push(await peerContender(peer));
    return relate(await measure(contenders, request.rounds, request.onRound));
  } finally {
    for (const contender of contenders) await contender.close();
  }
}

/** Adds whoever can take part on this machine; the others are named in a notice. */
async function gather({ models, float, threads, onNotice }: ComparisonRequest, contenders: Contender[]): Promise<void> {
  const attempt = async (what: string, make: () => Promise<Contender>): Promise<boolean> => {
    try {
      contenders.push(await make());
      return true;
    } catch (error) {
      onNotice(`${what} is left out: ${(error as Error).message.split('\n')[0]}`);
      return false;
    }
  };
  const { reason } = defaultRuntime();
  if (float !== undefined && reason !== null)
    onNotice(
      `onnxruntime-node, and the int8 conv forms that it writes, are left out: it does not load (${reason}); ` +
        '`npm install onnxruntime-node --ignore-scripts` brings it',
    );
  const forms = float === undefined ? null : await onnxForms(float, models[0].program.input, onNotice);
  for (const backend of ['native', 'wasm'] as const) {
    for (const count of threads) {
      // onnxruntime-web takes its number of threads once, when it starts.
      if (backend === 'wasm' && count !== threads[0]) continue;
      for (const { name, program, maxMemory } of models) {
        const make = () => integerContender(program, name, backend, { threads: count, maxMemory });
        if (!(await attempt(`ivit on ${backend}`, make))) break;
      }
      if (backend === 'native' && reason !== null) continue;
      for (const form of forms?.forms ?? []) {
        if (!(await attempt(RIVALS[backend], () => onnxContender(form, forms!.inputs, RIVALS[backend], count)))) break;
      }
    }
  }
}

function relate(timings: readonly Timing[]): Compared[] {
  const medianOf = (runtime: string, threads: number | null, isWanted: (precision: string) => boolean): number =>
    timings
      .filter((t) => t.runtime === runtime && t.threads === threads && isWanted(t.precision))
      .reduce((least, { median }) => Math.min(least, median), Infinity);
  return timings.map((timing) => {
    const backend = (['native', 'wasm'] as const).find((name) => timing.runtime.startsWith(`ivit ${name}`));
    if (backend === undefined) return { ...timing, againstFloat: null, againstInt8: null };
    const ratio = (rival: number): number | null => (rival === Infinity ? null : rival / timing.median);
    return {
      ...timing,
      againstFloat: ratio(medianOf(RIVALS[backend], timing.threads, (precision) => precision === 'float')),
      againstInt8: ratio(medianOf(RIVALS[backend], timing.threads, (precision) => precision.startsWith('int8'))),
    };
  });
}
