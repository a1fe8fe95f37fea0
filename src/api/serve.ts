/// <reference lib="esnext.disposable" preserve="true" />
import path from 'node:path';
import { digestOf } from '../metrics/output-digest.js';
import { ENGINE, FUNCTION, checkObject, path as pathCheck, wholeNumber } from './checks.js';
import type { Check } from './checks.js';
import { Model } from './model.js';
import { InputError } from '../errors.js';
import type { EngineOptions } from '../engine/types.js';
import { losesColour } from '../images/channels.js';
import { decodeOriented } from '../images/decode.js';
import type { Prediction } from '../metrics/predictions.js';
import { isOnlyClassifier, summaryOf } from '../metrics/results.js';
import type { OutputSummary } from '../metrics/results.js';
import { packageFile } from '../package-root.js';
import { BodyReader } from '../server/body.js';
import { filesOf, servedFile } from '../server/files.js';
import { Gate } from '../server/gate.js';
import { RequestError } from '../server/request-error.js';
import { listen } from '../server/server.js';

/** The most that an image may have, and all that are held at a time, in bytes. */
const MAX_IMAGE_BYTES = 32 * 2 ** 20;
const MAX_HELD_BYTES = 4 * MAX_IMAGE_BYTES;
/** Images of more pixels are refused before they are decoded. */
const MAX_SERVED_PIXELS = 50_000_000;
/** One image is decoded while another runs; the rest wait. */
const RUNNING = 2;
const WAITING = 32;
const WAIT_MS = 30_000;
const MAX_TOP = 1000;

export interface ServeRequest extends EngineOptions {
  /** A `.ivit` file; without one the page alone is served. */
  readonly model?: string;
  /** The address to listen on; default: 127.0.0.1, which this machine alone reaches. */
  readonly host?: string;
  /** Default: 8080. 0: any that is free. */
  readonly port?: number;
  /** Told what failed while a request was answered. */
  readonly onNotice?: (text: string) => void;
}

export interface Serving {
  /** Of the page; ends with /. */
  readonly url: string;
  readonly port: number;
  /** Whether this machine alone can reach it. */
  readonly isLocal: boolean;
  /** The model that answers; null where the page alone is served. */
  readonly model: Model | null;
  /** Ends the server, and closes the model. */
  close(): Promise<void>;
  /** The same, at the end of the block of `await using serving = await serve(…)`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What `POST /infer` answers. */
export interface ServedResult {
  /** The hash of the model's content. */
  readonly model: string;
  readonly predictions: readonly Prediction[];
  /** Of a model that is more, or other, than one classifier: every output. */
  readonly outputs?: readonly OutputSummary[];
  readonly digest: string;
  /** Of inference alone, without decoding and resizing. */
  readonly ms: number;
  /** Where the image was turned upright by its EXIF orientation. */
  readonly turned?: true;
  readonly warnings: readonly string[];
}

const text: Check = { expected: 'a name or address', accepts: (value) => typeof value === 'string' && value !== '' };

/**
 * Serves a page that runs a model in the browser, the model itself, and `POST /infer`, which runs it here.
 *
 * @throws InputError where the model cannot be loaded, or the port cannot be had
 */
export async function serve(request: ServeRequest = {}): Promise<Serving> {
  checkObject('serve', request, {
    ...ENGINE,
    model: pathCheck,
    host: text,
    port: wholeNumber(0, 65535),
    onNotice: FUNCTION,
  });
  const { model: file, host = '127.0.0.1', port = 8080, onNotice, ...engine } = request;
  const model = file === undefined ? null : await Model.load(file, engine);
  const files = filesOf(packageFile('dist', 'web'));
  if (file !== undefined) files.set('/model.ivit', { ...servedFile('model.ivit'), path: path.resolve(file) });
  const onFault = (error: unknown): void => onNotice?.(`A request failed: ${(error as Error).message}`);
  try {
    const listening = await listen(
      { files, posts: new Map([['/infer', inferHandler(model)]]), onFault },
      { host, port },
    );
    const close = async (): Promise<void> => {
      await listening.close();
      await model?.close();
    };
    return { ...listening, model, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await model?.close();
    throw error;
  }
}

type Handler = Parameters<typeof listen>[0]['posts'] extends ReadonlyMap<string, infer H> ? H : never;

/** Answers with what the model says of the image that is the request's body. */
function inferHandler(model: Model | null): Handler {
  const bodies = new BodyReader({ one: MAX_IMAGE_BYTES, all: MAX_HELD_BYTES });
  const gate = new Gate({ running: RUNNING, waiting: WAITING, waitMs: WAIT_MS });
  return (request, url) => {
    if (model === null) throw new RequestError(404, 'No model is served here: `ivit serve model.ivit`');
    const top = topOf(url);
    if (/^multipart\//i.test(request.headers['content-type'] ?? ''))
      throw new RequestError(415, 'The body must be the image itself, no form: curl --data-binary @photo.jpg');
    if ((request.headers['content-encoding'] ?? 'identity') !== 'identity')
      throw new RequestError(415, 'The body must be the image as it is, without Content-Encoding');
    return bodies.with(request, (body) =>
      gate.run(() => {
        if (request.socket.destroyed) throw new RequestError(400, 'Nobody waits for the answer');
        return infer(model, body, top);
      }),
    );
  };
}

/** @throws RequestError 400 for what it does not know, which would be left out in silence */
function topOf(url: URL): number {
  const names = [...url.searchParams.keys()];
  if (names.some((name) => name !== 'top') || names.length > 1)
    throw new RequestError(400, `/infer takes ?top=N and nothing else, and this asks for ${url.search}`);
  const given = url.searchParams.get('top') ?? '5';
  const top = Number(given);
  if (/^\d+$/.test(given) && top >= 1 && top <= MAX_TOP) return top;
  throw new RequestError(400, `top must be a whole number from 1 to ${MAX_TOP}`);
}

async function infer(model: Model, body: Uint8Array, top: number): Promise<ServedResult> {
  const { pixels, isTurned, warnings } = await prepare(model, body);
  const start = performance.now();
  const values = await model.run(pixels);
  const ms = performance.now() - start;
  const outputs = model.results(values, top);
  return {
    model: model.file.hash,
    predictions: model.predictions(model.logitsOf(values), top),
    ...(!isOnlyClassifier(outputs) && { outputs: outputs.map(summaryOf) }),
    digest: digestOf(values),
    ms,
    ...(isTurned && { turned: true as const }),
    warnings,
  };
}

interface Prepared {
  readonly pixels: Uint8Array;
  readonly isTurned: boolean;
  readonly warnings: readonly string[];
}

/** @throws RequestError 422 where the body is no image that the model can take */
async function prepare(model: Model, body: Uint8Array): Promise<Prepared> {
  try {
    const { image, isTurned } = await decodeOriented(body, 'apply', 'the body', MAX_SERVED_PIXELS);
    const isGreyed = model.file.program.input.channels === 1 && losesColour(image);
    const warnings = isGreyed ? ['The model takes grey images: colours are turned grey.'] : [];
    return { pixels: model.prepare(image), isTurned, warnings };
  } catch (cause) {
    if (cause instanceof InputError) throw new RequestError(422, cause.message, { cause });
    throw cause;
  }
}
