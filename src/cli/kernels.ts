import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { defaultRuntime } from '../calibrate/runtime.js';
import { nativeFailure } from '../engine/load.js';
import type { BackendName } from '../engine/types.js';
import { packageFile } from '../package-root.js';
import { notice } from './render.js';

/** Written where compiling failed, so that it is tried once and not at every start. */
const FAILED = 'native/build/failed';
export const BUILD_COMMAND = 'npx ivit build-native';

/** native/build-addon.mjs, which is not TypeScript: it runs before there is anything compiled. */
interface Builder {
  /** @returns null where the add-on is there, else why not */
  buildAddon(options?: { verbose?: boolean }): Promise<string | null>;
  findCompiler(): string | null;
}

export function loadBuilder(): Promise<Builder> {
  return import(pathToFileURL(packageFile('native/build-addon.mjs')).href) as Promise<Builder>;
}

/**
 * Called by commands that take long: where the native kernels are missing and there is a C compiler, compiles them
 * once, which takes seconds. Says what it does, or why slower kernels run.
 */
export async function compileKernels(backend: BackendName | undefined): Promise<void> {
  if (!wantsNative(backend) || nativeFailure() === null) return;
  if (!process.env['IVIT_NO_BUILD'] && !existsSync(packageFile(FAILED))) {
    const { buildAddon, findCompiler } = await loadBuilder();
    const compiler = findCompiler();
    if (compiler !== null && canBuild()) {
      notice(`compiling the native kernels with ${compiler}, once`);
      const failure = await buildAddon();
      if (failure === null && nativeFailure() === null) return;
      rememberFailure(failure ?? 'what was compiled does not load');
    }
  }
  noticeSlowKernels(backend);
}

/** Whether the folder of the package, in which the kernels lie, may be written. */
function canBuild(): boolean {
  try {
    accessSync(packageFile('native'), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Says so in one line where WebAssembly runs and native kernels could be had. */
export function noticeSlowKernels(backend: BackendName | undefined): void {
  if (!wantsNative(backend)) return;
  const failure = nativeFailure();
  if (failure === null) return;
  notice(`the WebAssembly kernels run, as the native ones, some times faster, do not load (${failure}): ${REMEDY}`);
}

/** What runs a model, and why. */
export function engineText(
  { backend, isa, threads }: { backend: BackendName; isa: string; threads: number },
  asked: BackendName | undefined,
): string {
  const why =
    asked !== undefined
      ? 'as --backend asks'
      : backend === 'native'
        ? 'the fastest'
        : `the fastest that loads: native kernels do not (${nativeFailure()})`;
  return `The model runs on ${backend} (${isa}), ${threads} thread${threads === 1 ? '' : 's'}: ${why}.`;
}

const REMEDY = `\`${BUILD_COMMAND}\` compiles them where there is a C compiler; \`npx ivit doctor\` says more`;

/** Says so in one line where the float model runs on the slower ONNX Runtime. */
export function noticeSlowRuntime(): void {
  const { name, reason } = defaultRuntime();
  if (name === 'onnxruntime-node' || reason === null) return;
  notice(
    'the float model runs in onnxruntime-web; onnxruntime-node is some times faster: ' +
      '`npm install onnxruntime-node --ignore-scripts`',
  );
}

/** A backend that is asked for and does not load is an error, told elsewhere. */
function wantsNative(backend: BackendName | undefined): boolean {
  return backend === undefined;
}

function rememberFailure(reason: string): void {
  const file = packageFile(FAILED);
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `${reason}\n`);
  } catch {
    // The folder cannot be written, and so nothing can be compiled into it: the next try fails as fast.
  }
}

/** Compiling may be tried again. */
export function forgetFailure(): void {
  rmSync(packageFile(FAILED), { force: true });
}
