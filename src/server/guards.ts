import type { IncomingMessage } from 'node:http';
import { RequestError } from './request-error.js';

export const isLoopback = (address: string): boolean => /^(::ffff:)?127\.|^::1$/.test(address);

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/**
 * On a loopback address, a foreign page could have its own name lead here (DNS rebinding) and then read the answers: so
 * the name that is asked for must be one of this machine itself.
 *
 * @param host the name that the server was told to listen to
 * @throws RequestError 421
 */
export function checkHost(request: IncomingMessage, host: string): void {
  const asked = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(request.headers.host ?? '')?.[1]?.toLowerCase();
  if (asked !== undefined && [...LOOPBACK_NAMES, host.toLowerCase()].includes(asked)) return;
  throw new RequestError(421, 'This server answers to localhost alone: see `ivit serve --host`');
}

/**
 * A foreign page can send requests here, though it cannot read the answers: it shall not have them computed.
 *
 * @throws RequestError 403
 */
export function checkOrigin({ headers }: IncomingMessage): void {
  const { origin, host } = headers;
  if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return;
  throw new RequestError(403, 'Requests of other sites are not answered');
}
