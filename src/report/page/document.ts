/** The frame of a page that needs nothing else: no network, no other file. */
import { escapeHtml } from './html.js';
import { STYLE } from './style.js';

/** Nothing is asked of the network. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

export interface PageContent {
  readonly title: string;
  /** The command that writes such pages. */
  readonly generator: string;
  /** HTML below the title. */
  readonly lead: string;
  /** HTML. */
  readonly sections: readonly string[];
  /** The figures, which the page holds too. */
  readonly json: string;
  readonly script?: string;
}

export function renderDocument({ title, generator, lead, sections, json, script }: PageContent): string {
  // Nothing in the figures may end the element that holds them.
  const held = json.replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<meta name="generator" content="${generator}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<link rel="icon" href="data:,">
<style>${STYLE}</style></head><body>
<header><h1>${escapeHtml(title)}</h1><p class="dim">${lead}</p></header>
<main>${sections.join('\n')}</main>
<script type="application/json" id="figures">${held}</script>
${script === undefined ? '' : `<script>${script}</script>`}</body></html>
`;
}
