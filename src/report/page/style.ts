/** The page's style: light, dark and printed, from a phone's width on. */
export const STYLE = `
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --dim: #5b636d; --line: #d8dde3; --card: #f5f7f9;
  --bar: #4a7fb5; --token: #a9c4de; --more: #2f8f6b; --bad: #c23b22; --link: #1a5fa8; --area: #5f8cb8; }
@media screen and (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e6e9ec; --dim: #9aa4ae;
  --line: #343b43; --card: #1e2327; --bar: #5b94cc; --token: #3d5a77; --more: #43b58b; --bad: #ff7a5f;
  --link: #79b4f2; --area: #4d7396; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; } .dim, figcaption, .tick { color: var(--dim); font-size: .85rem; }
a { color: var(--link); }
code, pre { font: .85rem/1.5 ui-monospace, monospace; }
pre { background: var(--card); padding: .6rem; overflow-x: auto; border-radius: 6px; margin: .4rem 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.cards div { background: var(--card); border-radius: 8px; padding: .6rem .8rem; }
.cards dt { color: var(--dim); font-size: .8rem; } .cards dd { margin: 0; font-size: 1.3rem; font-weight: 600; }
.cards small { display: block; font-size: .78rem; font-weight: 400; color: var(--dim); line-height: 1.35; }
.advice { list-style: none; padding: 0; margin: 0; }
.advice li { border-left: 4px solid var(--bar); background: var(--card); padding: .5rem .8rem; margin: .4rem 0;
  border-radius: 0 8px 8px 0; }
.advice .good { border-color: var(--more); } .advice .warning { border-color: var(--bad); }
svg { display: block; width: 100%; height: auto; } .scroll { overflow-x: auto; }
.plot { min-width: 36rem; } .curve { max-width: 34rem; }
.tick { fill: var(--dim); font-size: 12px; } .mark { fill: var(--bad); font-size: 13px; font-weight: 600; }
.leader { stroke: var(--bad); } .grid { stroke: var(--line); } .limit { stroke: var(--bad); stroke-width: 2; }
rect.all { fill: var(--bar); } rect.token { fill: var(--token); stroke: var(--bar); } rect.more { fill: var(--more); }
rect.worst { fill: var(--bad); stroke: none; }
.area, path.data { fill: var(--area); } path.data { opacity: .35; }
path.exact { fill: none; stroke: var(--text); stroke-width: 2; stroke-dasharray: 6 4; }
path.integer { fill: none; stroke: var(--bad); stroke-width: 2; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin: 0 .25rem 0 .6rem;
  vertical-align: -.1rem; background: var(--bar); }
.key.token { background: var(--token); outline: 1px solid var(--bar); outline-offset: -1px; }
.key.more { background: var(--more); } .key.worst { background: var(--bad); }
.key.exact { background: var(--text); } .key.integer { background: var(--bad); } .key.data { background: var(--area); }
figure { margin: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, th.text, td.text { text-align: left; }
tbody th { font-weight: inherit; } td .dim { font-size: inherit; }
thead th { vertical-align: bottom; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: .3rem 0; cursor: pointer; }
th[aria-sort=ascending] button::after { content: ' ▲'; } th[aria-sort=descending] button::after { content: ' ▼'; }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--dim); border-radius: 6px;
  padding: .35rem .6rem; width: 100%; max-width: 22rem; }
details { border-bottom: 1px solid var(--line); padding: .25rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
details[open] summary { font-weight: 600; }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .8rem; }
.examples article { background: var(--card); border-radius: 8px; padding: .6rem; overflow-wrap: anywhere; }
.examples h3 { font-size: 1rem; margin: 0; }
.examples img { float: left; margin: 0 .6rem .4rem 0; border-radius: 4px; }
.examples table { clear: both; } .examples td { white-space: normal; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
@media print { :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: 10pt; }
  .noprint { display: none; } h2, h3, summary { break-after: avoid; }
  figure, .examples article, .cards div, .advice li, tr, pre { break-inside: avoid; } .scroll { overflow: visible; }
  .plot { min-width: 0; } table { font-size: 8.5pt; } #layer-table { font-size: 7pt; } th, td { padding: .1rem .25rem; }
  pre { white-space: pre-wrap; }
  .key, .cards div, .advice li, .examples article { print-color-adjust: exact; }
  .figures { grid-template-columns: repeat(3, 1fr); }
  details::details-content { content-visibility: visible; block-size: auto; } }
`;
