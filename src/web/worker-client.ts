import { InputError, UsageError } from '../errors.js';
import type { Answer, RequestKind, Requests } from './protocol.js';

/** The part of a browser's `Worker` that is used. */
interface BrowserWorker {
  onmessage: ((event: { readonly data: Answer }) => void) | null;
  onerror: ((event: { readonly message?: string; preventDefault?(): void }) => void) | null;
  postMessage(message: unknown, transfer?: readonly ArrayBufferLike[]): void;
  terminate(): void;
}

declare const Worker: new (url: URL | string, options: { readonly type: 'module' }) => BrowserWorker;
declare const location: { readonly origin: string };

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** A worker, asked one thing at a time. */
export class WorkerClient {
  readonly #worker: BrowserWorker;
  #pending: Pending | null = null;
  #failure: Error | null = null;

  /** @param assets the folder that `worker.js` lies in; null: beside this file, which bundlers understand */
  constructor(assets: URL | null) {
    const worker = (this.#worker = startWorker(assets));
    worker.onmessage = ({ data }) => {
      const pending = this.#pending;
      this.#pending = null;
      if (pending === null) return;
      if ('error' in data) pending.reject(errorOf(data.error));
      else pending.resolve(data.value as never);
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      const reason = event.message ? `: ${event.message}` : '; is worker.js where the page looks for it? See `assets`';
      this.fail(new Error(`The worker of ivit did not start, or failed${reason}`));
    };
  }

  /** @throws InputError what the worker throws */
  ask<K extends RequestKind>(
    kind: K,
    ask: Requests[K]['asks'],
    transfer: readonly ArrayBufferLike[] = [],
  ): Promise<Requests[K]['gives']> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      this.#pending = { resolve, reject };
      this.#worker.postMessage({ kind, ask }, transfer);
    });
  }

  /** Ends the worker; what it was asked is answered with an error. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#worker.terminate();
    this.#pending?.reject(this.#failure);
    this.#pending = null;
  }
}

/** A worker of another origin than the page's is not started; a module of one is. */
function startWorker(assets: URL | null): BrowserWorker {
  if (assets === null) return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const { href, origin } = new URL('worker.js', assets);
  if (origin === location.origin) return new Worker(href, { type: 'module' });
  const script = new Blob([`import ${JSON.stringify(href)};`], { type: 'text/javascript' });
  return new Worker(URL.createObjectURL(script), { type: 'module' });
}

function errorOf({ name, message, code }: Extract<Answer, { error: unknown }>['error']): Error {
  if (name === 'InputError') return new InputError(message, { code });
  return name === 'UsageError' ? new UsageError(message) : new Error(message);
}
