import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { VERSION } from '../api/version.js';
import { defaultRuntime, runtimeVersion } from '../calibrate/runtime.js';
import { compileWasm, findAddon, loadNativeKernels, prebuiltPackage } from '../engine/load.js';
import { WASM_ISAS } from '../engine/wasm-module.js';
import { packageFile, packageRequire } from '../package-root.js';
import { addExamples } from './examples.js';
import { BUILD_COMMAND, loadBuilder } from './kernels.js';
import { bytes, pairs, print, printJson } from './render.js';

/** What `ivit doctor` finds: what runs here, why, and how to get what is faster. */
interface Findings {
  readonly ivit: { readonly version: string; readonly folder: string };
  readonly node: { readonly version: string; readonly platform: string };
  readonly cpu: { readonly model: string; readonly threads: number };
  /** Bytes; `limit` is that of the container or process, where there is one. */
  readonly memory: { readonly total: number; readonly free: number; readonly limit: number | null };
  /** What runs models where nothing else is asked for. */
  readonly backend: { readonly name: 'native' | 'wasm' | 'reference'; readonly isa: string };
  readonly native: Part & { readonly isa: string | null; readonly compiler: string | null };
  readonly wasm: Part & { readonly isa: string | null };
  readonly onnxruntime: { readonly name: string; readonly version: string | null; readonly reason: string | null };
  readonly sharp: Part & { readonly version: string | null };
  /** What to do, one sentence each; empty where all is well. */
  readonly advice: readonly string[];
}

interface Part {
  readonly ok: boolean;
  /** The file it is in, where it loads. */
  readonly file: string | null;
  /** Why it does not load. */
  readonly reason: string | null;
}

export function addDoctorCommand(program: Command): void {
  const command = program
    .command('doctor')
    .description('say what runs models on this machine, why, and how to get what is faster')
    .option('--json', 'print the findings as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const findings = await examine();
      if (json) printJson(findings);
      else printFindings(findings);
    });
  addExamples(command, {
    doctor: 'what runs models here, and how to get what is faster',
  });
}

async function examine(): Promise<Findings> {
  const native = await examineNative();
  const wasm = await examineWasm();
  const sharp = examineSharp();
  const runtime = defaultRuntime();
  const found = {
    ivit: { version: VERSION, folder: path.dirname(packageFile('package.json')) },
    node: { version: process.version, platform: prebuiltPackage().replace(/^.*\//, '') },
    cpu: { model: cpus()[0]?.model.trim() ?? 'unknown', threads: availableParallelism() },
    memory: { total: totalmem(), free: freemem(), limit: memoryLimit() },
    backend: native.ok
      ? { name: 'native' as const, isa: native.isa! }
      : wasm.ok
        ? { name: 'wasm' as const, isa: wasm.isa! }
        : { name: 'reference' as const, isa: 'scalar' },
    native,
    wasm,
    onnxruntime: { ...runtime, version: runtimeVersion(runtime.name) },
    sharp,
  };
  return { ...found, advice: advise(found) };
}

async function examineNative(): Promise<Findings['native']> {
  const compiler = (await loadBuilder()).findCompiler();
  try {
    const file = findAddon();
    const [isa] = loadNativeKernels().describe(null)!;
    return { ok: true, file, reason: null, isa, compiler };
  } catch (error) {
    return { ok: false, file: null, reason: firstLine(error), isa: null, compiler };
  }
}

async function examineWasm(): Promise<Findings['wasm']> {
  try {
    for (const isa of WASM_ISAS) {
      if ((await compileWasm(isa)) !== null) return { ok: true, file: packageFile('dist'), reason: null, isa };
    }
    return { ok: false, file: null, reason: 'this JavaScript engine has no WebAssembly SIMD', isa: null };
  } catch (error) {
    return { ok: false, file: null, reason: firstLine(error), isa: null };
  }
}

function examineSharp(): Findings['sharp'] {
  try {
    const sharp = packageRequire()('sharp') as { versions: { sharp: string } };
    return { ok: true, file: packageRequire().resolve('sharp'), reason: null, version: sharp.versions.sharp };
  } catch (error) {
    return { ok: false, file: null, reason: firstLine(error), version: null };
  }
}

/** Of the process's container, else null. */
function memoryLimit(): number | null {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : null;
}

function advise(found: Omit<Findings, 'advice'>): string[] {
  const { native, wasm, onnxruntime, sharp } = found;
  const advice: string[] = [];
  if (!native.ok && native.compiler !== null)
    advice.push(`\`${BUILD_COMMAND}\` compiles the native kernels, which are some times faster than WebAssembly.`);
  if (!native.ok && native.compiler === null && process.platform !== 'win32')
    advice.push(`Install a C compiler, then \`${BUILD_COMMAND}\`, for kernels some times faster than WebAssembly.`);
  if (!wasm.ok) advice.push('Install ivit again, on Node 20.19 or newer: WebAssembly does not run.');
  if (onnxruntime.name === 'onnxruntime-web')
    advice.push('`npm install onnxruntime-node --ignore-scripts` makes calibration and --float some times faster.');
  if (!sharp.ok) advice.push('`npm install sharp` brings the image decoder, without which only raw pixels are read.');
  return advice;
}

function printFindings(found: Findings): void {
  const { ivit, node, cpu, memory, backend, native, wasm, onnxruntime, sharp, advice } = found;
  const limit = memory.limit === null ? '' : `, limited to ${bytes(memory.limit)}`;
  const version = onnxruntime.version === null ? '' : ` ${onnxruntime.version}`;
  const why = onnxruntime.reason === null ? '' : ` (onnxruntime-node does not load: ${onnxruntime.reason})`;
  print(
    pairs([
      ['ivit', `${ivit.version} in ${ivit.folder}`],
      ['Node', `${node.version}, ${node.platform}`],
      ['processor', `${cpu.model}, ${cpu.threads} threads`],
      ['memory', `${bytes(memory.total)}, ${bytes(memory.free)} free${limit}`],
      ['models run on', `${backend.name} (${backend.isa})`],
      ['native', native.ok ? `${native.isa}, ${native.file}` : `no: ${native.reason}`],
      ['C compiler', native.compiler ?? 'none'],
      ['WebAssembly', wasm.ok ? wasm.isa! : `no: ${wasm.reason}`],
      ['ONNX Runtime', `${onnxruntime.name}${version}${why}`],
      ['images', sharp.ok ? `sharp ${sharp.version}` : `no: ${sharp.reason}`],
    ]),
  );
  if (advice.length > 0) print('', ...advice);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0];
}
