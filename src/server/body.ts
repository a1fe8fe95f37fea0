import type { IncomingMessage } from 'node:http';
import { RequestError } from './request-error.js';

/** Reads what requests carry, so that neither one nor all together take more memory than they may. */
export class BodyReader {
  #held = 0;

  /** @param limits bytes of one body, and of all that are held at a time */
  constructor(private readonly limits: { readonly one: number; readonly all: number }) {}

  /**
   * Hands a request's body to `use`, and counts it as held until that is done. What has come is counted, not what was
   * announced: whoever sends slowly takes no room from others.
   *
   * @throws RequestError 413, 503
   */
  async with<T>(request: IncomingMessage, use: (body: Uint8Array) => Promise<T>): Promise<T> {
    const { one, all } = this.limits;
    if (Number(request.headers['content-length'] ?? 0) > one) throw tooLarge(one);
    const parts: Buffer[] = [];
    let size = 0;
    try {
      for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        size += part.length;
        this.#held += part.length;
        if (size > one) throw tooLarge(one);
        if (this.#held > all) throw new RequestError(503, 'Too many requests at a time: try again', RETRY);
        parts.push(part);
      }
      return await use(Buffer.concat(parts.splice(0)));
    } finally {
      this.#held -= size;
    }
  }
}

const RETRY = { headers: { 'retry-after': '1' } };

const tooLarge = (most: number): RequestError =>
  new RequestError(413, `The body has more than ${most} bytes, which is the limit`);
