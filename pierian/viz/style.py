"""The look of a report: one style sheet, for laptop, phone and paper, by day and by night.

May import: nothing. Charts take their colours from the variables at the top.
"""

CSS = """
:root { color-scheme: light dark; --paper: #fdfcf9; --ink: #1d2329; --soft: #5b6670;
  --line: #e2dfd6; --card: #f5f3ec; --blue: #0072b2; --orange: #d55e00; --green: #009e73;
  --hit: 0 114 178; --miss: 213 94 0; }
@media (prefers-color-scheme: dark) { :root { --paper: #14191d; --ink: #e8e6e0; --soft: #9ba7b0;
  --line: #2d363d; --card: #1b2227; --blue: #56b4e9; --orange: #f0913a; --green: #2fc497;
  --hit: 86 180 233; --miss: 240 130 50; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 70rem; margin: 0 auto;
  padding: clamp(1.5rem, 5vw, 4.5rem) clamp(1rem, 5vw, 3rem); }
h1, h2 { font-family: "Iowan Old Style", Palatino, "Book Antiqua", Georgia, serif;
  font-weight: 500; line-height: 1.15; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: clamp(2rem, 6vw, 3.25rem); margin: 0.3rem 0 0; letter-spacing: -0.01em; }
h2 { font-size: 1.6rem; margin: 0 0 1.4rem; }
h3 { font-size: 1rem; margin: 2rem 0 0.5rem; }
.kicker, footer, .soft { color: var(--soft); font-size: 0.9rem; }
.kicker { margin: 0; letter-spacing: 0.04em; }
nav { display: flex; flex-wrap: wrap; gap: 0.3rem 1.4rem; margin-top: 2rem; font-size: 0.95rem; }
a { color: var(--blue); text-decoration: none; }
a:hover { text-decoration: underline; }
section { margin-top: clamp(2.75rem, 7vw, 4.5rem);
  padding-top: 1.75rem; border-top: 1px solid var(--line); }
.note { color: var(--soft); max-width: 42rem; margin: -0.9rem 0 1.5rem; }
dl.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr));
  gap: 1.75rem 2rem; margin: clamp(2rem, 5vw, 3rem) 0 0; }
.key div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.key dt { color: var(--soft); font-size: 0.9rem; }
.key dd { margin: 0; font-size: clamp(1.6rem, 4vw, 2.1rem); line-height: 1.2;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.key div:first-child dd { color: var(--blue); }
figure { margin: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr));
  gap: 1.75rem 2rem; }
.charts figure { max-width: 29rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { fill: currentColor; font-family: inherit !important; }
.wide { flex: 1 1 34rem; max-width: 46rem; }
.scroll { overflow-x: auto; max-width: 100%; }
.tall { max-height: 34rem; overflow-y: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: clamp(0.85rem, 2.5vw, 0.95rem); }
th, td { padding: 0.4rem clamp(0.35rem, 1.6vw, 0.9rem); text-align: right;
  border-bottom: 1px solid var(--line); font-weight: 400; white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-size: 0.9rem; border-bottom-color: var(--soft);
  vertical-align: bottom; }
.last tbody tr:last-child > * { border-bottom: 0; font-weight: 600; }
.tall thead th { position: sticky; top: 0; background: var(--paper); }
.words :is(th, td):last-child { text-align: left; }
.facts { width: 100%; table-layout: fixed; }
.facts th { width: 32%; color: var(--soft); vertical-align: top; }
.facts :is(th, td) { white-space: normal; overflow-wrap: anywhere; text-align: left; }
.confusion { font-size: clamp(0.72rem, 2.3vw, 0.95rem); }
.confusion th, .confusion td { border: 1px solid var(--line); padding: 0; text-align: center;
  min-width: clamp(1.65rem, 5.2vw, 3.2rem); height: clamp(1.8rem, 4.4vw, 2.6rem); }
.confusion th { border: 0; color: var(--soft); }
.confusion thead td { border: 0; background: none; }
.confusion tbody th { padding-right: 0.6rem; text-align: right; }
.confusion .turned span { writing-mode: vertical-rl; transform: rotate(180deg);
  padding-top: 0.5rem; }
.confusion td { background: rgb(var(--miss) / calc(var(--s) * 0.8)); }
.confusion td.hit { background: rgb(var(--hit) / calc(var(--s) * 0.4)); }
.pair { display: flex; flex-wrap: wrap; gap: 0.5rem 2.5rem; }
.pair > * { min-width: 0; }
li .soft { white-space: nowrap; }
ol { margin: 0; padding-left: 1.3rem; }
li { margin-bottom: 0.35rem; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.6rem, 1fr));
  gap: 1.5rem 1rem; }
.mistakes img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  background: var(--card); border-radius: 6px; }
.mistakes img.small { image-rendering: pixelated; }
figcaption { font-size: 0.88rem; line-height: 1.4; padding-top: 0.45rem; overflow-wrap: anywhere; }
.mistakes small { color: var(--soft); font-size: 0.8rem; }
.wrong { color: var(--orange); font-weight: 600; }
pre { margin: 0; padding: 1.1rem 1.25rem; background: var(--card); border-radius: 8px;
  overflow-x: auto; font: 0.85rem/1.55 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
details { margin-top: 1.5rem; }
summary { cursor: pointer; color: var(--blue); margin-bottom: 0.75rem; }
footer { margin-top: 4.5rem; font-style: italic; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 3px; }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --card: #fff; }
  body { font-size: 10pt; } nav, details:not([open]) { display: none; }
  .scroll, pre { overflow: visible; } .tall { max-height: none; } pre { white-space: pre-wrap; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { padding: 0; } section { margin-top: 1.5rem; } .charts { grid-template-columns: 1fr 1fr; }
  figure, tr, .key div { break-inside: avoid; } h2, h3, .note { break-after: avoid; } }
"""
