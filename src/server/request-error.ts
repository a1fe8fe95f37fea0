/** A request that is answered with an error; the message is for whoever asks. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly status: number,
    message: string,
    { headers = {}, cause }: { readonly headers?: Readonly<Record<string, string>>; readonly cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.headers = headers;
  }
}
