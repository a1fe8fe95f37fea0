import { InputError, UsageError } from '../errors.js';
import { typeOf } from './checks.js';

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
 * @throws InputError where they cannot be loaded, UsageError where it is none of these
 */
export async function readSource(source: ModelSource, reading: Reading = {}): Promise<Uint8Array> {
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  if (source instanceof ArrayBuffer) return new Uint8Array(source.slice(0));
  if (source instanceof Uint8Array) return new Uint8Array(source);
  if (typeof source !== 'string' && !(source instanceof URL))
    throw new UsageError(`A model is an address, a Blob or bytes, not ${typeOf(source)}`);
  return fetchBytes(String(source), reading);
}

/** @throws InputError where it is not there, or a page is in its place */
export async function fetchBytes(url: string, { onProgress, signal }: Reading = {}): Promise<Uint8Array> {
  const refuse = (error: unknown): never => {
    signal?.throwIfAborted();
    throw new InputError(`Cannot load ${url}: ${(error as Error).message}`, { cause: error, code: 'NOT_FOUND' });
  };
  const response = await fetch(url, { signal }).catch(refuse);
  if (!response.ok) refuse(new Error(`HTTP status ${response.status}`));
  if (onProgress === undefined || response.body === null)
    return noPage(url, response, new Uint8Array(await response.arrayBuffer().catch(refuse)));
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
  return noPage(url, response, joined(parts, loaded));
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

/**
 * Many servers answer with their start page, and status 200, where they have no such file. Some call files that they do
 * not know HTML, which hold zeros among their first bytes, as no page does.
 *
 * @throws InputError where the bytes are a page
 */
function noPage(url: string, { headers }: Response, bytes: Uint8Array): Uint8Array {
  const isCalledPage = /^text\/html\b/i.test(headers.get('content-type') ?? '');
  if (!isCalledPage || bytes.subarray(0, 8).includes(0)) return bytes;
  throw new InputError(`Cannot load ${url}: the server gave a page (HTML); is the address right?`, {
    code: 'NOT_FOUND',
  });
}

declare const document: { readonly baseURI: string } | undefined;

/** What a page's addresses are relative to; in a worker, this file's. */
export const baseUrl = (): string => (typeof document === 'undefined' ? import.meta.url : document.baseURI);
