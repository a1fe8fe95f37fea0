interface Call {
  readonly pixels: Uint8Array;
  readonly resolve: (logits: Int32Array) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Hands the images of all calls made in one turn of the event loop on as one batch: they can share the threads then.
 */
export class Batcher {
  private calls: Call[] = [];

  constructor(private readonly runBatch: (images: readonly Uint8Array[]) => Promise<Int32Array[]>) {}

  run(pixels: Uint8Array): Promise<Int32Array> {
    return new Promise((resolve, reject) => {
      if (this.calls.length === 0) setImmediate(() => void this.flush());
      this.calls.push({ pixels, resolve, reject });
    });
  }

  private async flush(): Promise<void> {
    const calls = this.calls;
    this.calls = [];
    try {
      const outputs = await this.runBatch(calls.map(({ pixels }) => pixels));
      calls.forEach(({ resolve }, i) => resolve(outputs[i]));
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  }
}
