/** A small web server that strangers may ask: every request is bounded in size, time and number. */
import { open } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { InputError } from '../errors.js';
import type { ServedFile } from './files.js';
import { checkHost, checkOrigin, isLoopback } from './guards.js';
import { RequestError } from './request-error.js';

/** What a client may take, in milliseconds, and how many there may be. */
export interface Limits {
  /** To send the head of a request. */
  readonly headMs: number;
  /** To send all of it. */
  readonly requestMs: number;
  /** Without a byte being sent or taken. */
  readonly idleMs: number;
  readonly connections: number;
}

const LIMITS: Limits = { headMs: 10_000, requestMs: 60_000, idleMs: 30_000, connections: 256 };
/** How often the first two are looked at. */
const CHECK_MS = 500;

/**
 * Threads in a page need cross-origin isolation. The policy holds a page to its own origin: it can load from nowhere
 * else, nor send there.
 */
const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; " +
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-cache',
};

export interface Site {
  readonly files: ReadonlyMap<string, ServedFile>;
  /** What is posted: path → answer, as JSON. */
  readonly posts: ReadonlyMap<string, (request: IncomingMessage, url: URL) => Promise<unknown>>;
  /** Told what went wrong here, which whoever asked is not told. */
  readonly onFault: (error: unknown) => void;
}

export interface Listening {
  /** Ends with /. */
  readonly url: string;
  readonly port: number;
  /** Whether this machine alone can reach it. */
  readonly isLocal: boolean;
  close(): Promise<void>;
}

/**
 * @param port 0: any that is free
 * @throws InputError where the address or the port cannot be had
 */
export async function listen(
  site: Site,
  { host, port }: { readonly host: string; readonly port: number },
  { headMs, requestMs, idleMs, connections }: Limits = LIMITS,
): Promise<Listening> {
  const server = createServer(
    { connectionsCheckingInterval: CHECK_MS, headersTimeout: headMs, requestTimeout: requestMs },
    (request, response) => void answer(request, response),
  );
  server.timeout = idleMs;
  server.maxConnections = connections;
  let isLocal = true;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      if (isLocal) checkHost(request, host);
      await route(site, request, response);
    } catch (error) {
      sendError(site, response, error);
    }
  };
  await bind(server, host, port);
  const bound = server.address() as AddressInfo;
  isLocal = isLoopback(bound.address);
  return {
    url: `http://${nameOf(host, bound)}:${bound.port}/`,
    port: bound.port,
    isLocal,
    close: () => new Promise((resolve) => server.close(() => resolve()).closeAllConnections()),
  };
}

/** As an address has it; of all addresses of a machine, which browsers do not open, the one that reaches itself. */
function nameOf(host: string, { address }: AddressInfo): string {
  const all: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' };
  return all[address] ?? (host.includes(':') ? `[${host}]` : host);
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const text = REASONS[error.code ?? '']?.(host, port) ?? error.message;
      reject(new InputError(`Cannot listen on ${host}, port ${port}: ${text}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}

const HOSTS = '--host takes a name or address alone: 127.0.0.1, ::1, or 0.0.0.0 and :: for all of this machine';

const unknown = (host: string): string => `nothing is known of ${host}; ${HOSTS}`;

const REASONS: Readonly<Record<string, (host: string, port: number) => string>> = {
  EADDRINUSE: () => 'the port is in use; choose another with --port, or 0 for any that is free',
  EACCES: (_, port) => `port ${port} needs rights that this process has not; choose one above 1023 with --port`,
  EADDRNOTAVAIL: (host) => `${host} is no address of this machine; ${HOSTS}`,
  ENOTFOUND: unknown,
  // Without a network.
  EAI_AGAIN: unknown,
};

async function route(site: Site, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = addressOf(request);
  const post = site.posts.get(url.pathname);
  const file = site.files.get(url.pathname);
  if (post === undefined && file === undefined) throw new RequestError(404, `There is no ${url.pathname} here`);
  const allowed = post === undefined ? ['GET', 'HEAD'] : ['POST'];
  if (!allowed.includes(request.method ?? ''))
    throw new RequestError(405, `${url.pathname} takes ${allowed[0]}`, { headers: { allow: allowed.join(', ') } });
  if (post === undefined) return sendFile(file!, request, response);
  checkOrigin(request);
  const { socket } = request;
  // The clock for clients that are slow stands still while this machine computes.
  const idleMs = socket.timeout ?? 0;
  request.once('end', () => socket.setTimeout(0));
  try {
    sendJson(response, 200, await post(request, url));
  } finally {
    socket.setTimeout(idleMs);
  }
}

function addressOf({ url = '/' }: IncomingMessage): URL {
  try {
    return new URL(url, 'http://localhost');
  } catch (cause) {
    throw new RequestError(400, 'The address is not valid', { cause });
  }
}

async function sendFile({ path, type }: ServedFile, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    response.writeHead(200, { ...HEADERS, 'content-type': type, 'content-length': size });
    if (request.method === 'HEAD') response.end();
    else if (size === 0) response.end();
    else await pipeline(file.createReadStream({ start: 0, end: size - 1, autoClose: false }), response);
  } finally {
    await file.close();
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown, headers: object = {}): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  const type = { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length };
  response.writeHead(status, { ...HEADERS, ...type, ...headers }).end(body);
}

/** What is left of a request that is refused is thrown away as it comes: its client would not read the answer else. */
function sendError({ onFault }: Site, response: ServerResponse, error: unknown): void {
  const { req: request } = response;
  if (request.destroyed && !request.complete) return; // whoever asked has gone
  if (!(error instanceof RequestError) && !response.destroyed) onFault(error);
  if (response.headersSent || response.destroyed) return void response.destroy();
  const known = error instanceof RequestError ? error : new RequestError(500, 'Something failed here');
  request.resume();
  sendJson(response, known.status, { error: known.message }, known.headers);
}
