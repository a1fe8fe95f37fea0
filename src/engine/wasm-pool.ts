import { Worker } from 'node:worker_threads';
import { packageFile } from '../package-root.js';
import { memoryError } from './memory-error.js';
import type { Snapshot } from './wasm.js';

const WORKER = 'native/wasm/worker.mjs';

interface Job {
  readonly pixels: Uint8Array;
  readonly resolve: (logits: Int32Array) => void;
  readonly reject: (error: Error) => void;
}

/** Worker threads with a copy of a loaded program each; every image goes to the first that is free. */
export class WasmPool {
  private readonly workers: Worker[];
  private readonly idle: Worker[];
  private readonly busy = new Map<Worker, Job>();
  private readonly queue: Job[] = [];
  private failure: Error | null = null;

  constructor(snapshot: Snapshot, threads: number) {
    this.workers = Array.from({ length: threads }, () => this.start(snapshot));
    this.idle = [...this.workers];
  }

  readonly run = (pixels: Uint8Array): Promise<Int32Array> =>
    new Promise((resolve, reject) => {
      if (this.failure !== null) return reject(this.failure);
      this.queue.push({ pixels, resolve, reject });
      this.dispatch();
    });

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private start(snapshot: Snapshot): Worker {
    // Options of this process, such as --input-type, may not suit a thread that runs a file.
    const worker = new Worker(packageFile(WORKER), { workerData: snapshot, execArgv: [] });
    worker.on('message', (logits: Int32Array) => {
      this.busy.get(worker)?.resolve(logits);
      this.busy.delete(worker);
      worker.unref();
      this.idle.push(worker);
      this.dispatch();
    });
    worker.on('error', (error: Error) => this.fail(error));
    // One that ended, be it at work or idle, would never answer again.
    worker.on('exit', () => this.fail(new Error('A worker thread that runs the model ended')));
    worker.unref(); // only work keeps the process alive
    return worker;
  }

  private dispatch(): void {
    while (this.queue.length > 0 && this.idle.length > 0) {
      const worker = this.idle.pop() as Worker;
      const job = this.queue.shift() as Job;
      this.busy.set(worker, job);
      worker.ref();
      worker.postMessage(job.pixels);
    }
  }

  private fail(error: Error): void {
    this.failure ??= memoryError(error) as Error;
    for (const { reject } of [...this.busy.values(), ...this.queue.splice(0)]) reject(this.failure);
    this.busy.clear();
  }
}
