import { InputError } from '../errors.js';

/** Where a model comes from: an address, or its bytes. */
export type ModelSource = string | URL | Blob | ArrayBuffer | Uint8Array;

export type OnProgress = (loaded: number, total: number | null) => void;

interface Reading {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/**
 * A model's bytes, in a buffer of their own, which may be handed on.
 *
 * @throws InputError where they cannot be loaded
 */
export async function readSource(source: ModelSource, reading: Reading = {}): Promise<Uint8Array> {
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  if (source instanceof ArrayBuffer) return new Uint8Array(source.slice(0));
  if (source instanceof Uint8Array) return new Uint8Array(source);
  return download(String(source), reading);
}

async function download(url: string, { onProgress, signal }: Reading): Promise<Uint8Array> {
  const refuse = (error: unknown): never => {
    signal?.throwIfAborted();
    throw new InputError(`Cannot load ${url}: ${(error as Error).message}`, { cause: error, code: 'NOT_FOUND' });
  };
  const response = await fetch(url, { signal }).catch(refuse);
  if (!response.ok) refuse(new Error(`HTTP status ${response.status}`));
  if (onProgress === undefined || response.body === null)
    return new Uint8Array(await response.arrayBuffer().catch(refuse));
  // With a Content-Encoding the length is that of what is sent, not of what is read.
  const length = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  const total = length === null ? null : Number(length);
  const parts: Uint8Array[] = [];
  let loaded = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read().catch(refuse); !part.done; part = await reader.read().catch(refuse)) {
    const bytes = part.value as Uint8Array;
    parts.push(bytes);
    onProgress((loaded += bytes.length), total);
  }
  return joined(parts, loaded);
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @throws InputError where it is not there */
export async function fetchBytes(url: string): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) throw new InputError(`Cannot load ${url}: HTTP status ${response.status}`, { code: 'NOT_FOUND' });
  return new Uint8Array(await response.arrayBuffer());
}

declare const document: { readonly baseURI: string } | undefined;

/** What a page's addresses are relative to; in a worker, this file's. */
export const baseUrl = (): string => (typeof document === 'undefined' ? import.meta.url : document.baseURI);
