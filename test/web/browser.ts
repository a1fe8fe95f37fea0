/** Pages in a headless browser, served from this machine. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';

const CHROMIUM = process.env.IVIT_CHROMIUM ?? '/usr/bin/chromium';
export const hasChromium = existsSync(CHROMIUM);

/** Without features that ask the network for something. */
const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const launch = (): Promise<Browser> => chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.ivit': 'application/octet-stream',
};

/** Cross-origin isolation, which threads need. */
const ISOLATED = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

export interface Served {
  /** Ends with /. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves folders and texts by the first part of their paths; all else is not found. */
export async function serve(
  at: Readonly<Record<string, string>>,
  options: { readonly isIsolated?: boolean; readonly allowsAll?: boolean } = {},
): Promise<Served> {
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const [, first, ...rest] = decodeURIComponent(url.pathname).split('/');
    const source = at[first];
    const file = source === undefined || source.startsWith('<') ? null : path.join(source, ...rest);
    const isFound = file === null ? source !== undefined : existsSync(file) && statSync(file).isFile();
    const type = file === null ? 'text/html' : (TYPES[path.extname(file)] ?? 'application/octet-stream');
    response.writeHead(isFound ? 200 : 404, {
      'content-type': type,
      ...(options.isIsolated && ISOLATED),
      ...(options.allowsAll && { 'access-control-allow-origin': '*' }),
    });
    response.end(isFound ? (file === null ? source : readFileSync(file)) : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => new Promise((resolve) => server.close(() => resolve()).closeAllConnections()),
  };
}

/** A page that throws what it logs as an error, and lists all addresses that it asks for. */
export async function openPage(browser: Browser, url: string): Promise<{ page: Page; asked: string[] }> {
  const page = await browser.newPage();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(url);
  return { page, asked };
}
