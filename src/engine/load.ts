import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { packageFile, packageRequire } from '../package-root.js';
import type { NativeKernels } from './native.js';
import { compileFastest, compileUsable, type ReadWasm, type WasmIsa } from './wasm-module.js';

/** Where the build puts the kernels. The rest of the engine knows nothing of files. */
const WASM: Readonly<Record<WasmIsa, string>> = { 'relaxed-dot': 'dist/ivit-relaxed.wasm', simd128: 'dist/ivit.wasm' };
const COMPILED_ADDON = 'native/build/Release/ivit.node';

let compiled: Promise<WebAssembly.Module> | null = null;

/** The fastest kernels of native/build-wasm.mjs that this engine runs, compiled once in a process. */
export function loadWasmModule(): Promise<WebAssembly.Module> {
  compiled ??= compileFastest(readWasm).catch((error: unknown) => {
    compiled = null;
    throw error;
  });
  return compiled;
}

const readWasm: ReadWasm = (isa) => readFile(packageFile(WASM[isa]));

/** @returns null where this engine lacks an instruction, or does not compute exactly what the kernels need */
export const compileWasm = (isa: WasmIsa): Promise<WebAssembly.Module | null> => compileUsable(isa, readWasm);

/**
 * The add-on: the one compiled on this machine by native/build-addon.mjs, else the prebuilt one of this platform's
 * package.
 *
 * @throws Error where there is none, or none that this Node loads
 */
export function loadNativeKernels(): NativeKernels {
  return packageRequire()(findAddon()) as NativeKernels;
}

/** @returns null where the native kernels load, else why not */
export function nativeFailure(): string | null {
  try {
    loadNativeKernels();
    return null;
  } catch (error) {
    return (error as Error).message.split('\n', 1)[0];
  }
}

/** @returns the path of the add-on's file. @throws Error where there is none */
export function findAddon(): string {
  const compiled = packageFile(COMPILED_ADDON);
  return existsSync(compiled) ? compiled : findPrebuilt();
}

/** `@ivit-native/linux-x64`, `@ivit-native/linux-arm64-musl`, … : what tools/prebuilt.mjs makes. */
export function prebuiltPackage(): string {
  return `@ivit-native/${process.platform}-${process.arch}${usesMusl() ? '-musl' : ''}`;
}

function usesMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined;
}

function findPrebuilt(): string {
  const name = prebuiltPackage();
  let manifest: string;
  try {
    manifest = packageRequire().resolve(`${name}/package.json`);
  } catch {
    throw new Error(`the kernels were not compiled here, and the package ${name} is not installed`);
  }
  const versionOf = (file: string) => (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  const [wanted, found] = [versionOf(packageFile('package.json')), versionOf(manifest)];
  // Program and add-on speak to each other in words that only one version of both knows.
  if (found !== wanted) throw new Error(`the package ${name} has version ${found}, and ivit has ${wanted}`);
  return path.join(path.dirname(manifest), 'ivit.node');
}
