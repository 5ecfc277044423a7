/** How the documentation page looks: one sheet, light and dark, from phones to wide screens. */

export const pageStyle = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#fbfaf7, #14171a);
  --card: light-dark(#ffffff, #1b1f23);
  --ink: light-dark(#1d2329, #e4e7ea);
  --quiet: light-dark(#5a646e, #9aa5b0);
  --line: light-dark(#e3e0d8, #2c3238);
  --mint: light-dark(#0b6b52, #5fd3ac);
  --wash: light-dark(#eef5f1, #1d2a27);
  --amber: light-dark(#8a5300, #e6b566);
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0 auto; max-width: 52rem; padding: clamp(1.25rem, 5vw, 4rem) clamp(1rem, 4vw, 2rem) 6rem;
  background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: .9em; }
h1 { font-size: clamp(1.9rem, 6vw, 2.9rem); line-height: 1.1; letter-spacing: -.025em; margin: .2rem 0 1rem; text-wrap: balance; }
h2 { font-size: 1.35rem; letter-spacing: -.01em; margin: 3.5rem 0 .25rem; text-transform: capitalize; }
p { margin: .35rem 0; text-wrap: pretty; }
a { color: var(--mint); text-underline-offset: .18em; text-decoration-thickness: .06em; }
a:focus-visible { outline: 2px solid var(--mint); outline-offset: 3px; border-radius: 2px; }
.eyebrow { color: var(--mint); font-weight: 600; font-size: .875rem; letter-spacing: .04em; }
.lead { font-size: 1.2rem; color: var(--quiet); max-width: 36rem; }
pre {
  overflow-x: auto; margin: 1.75rem 0; padding: 1.1rem 1.25rem; line-height: 1.55;
  background: var(--wash); border-radius: .6rem; border-left: 3px solid var(--mint);
}
nav { display: flex; flex-wrap: wrap; gap: .4rem 1.35rem; font-size: .95rem; }
nav a { text-transform: capitalize; }
nav a:last-child { text-transform: none; }
.routes { list-style: none; margin: 1.1rem 0 0; padding: 0; border-top: 1px solid var(--line); }
.routes li { padding: .85rem 0; border-bottom: 1px solid var(--line); }
.route { display: flex; align-items: baseline; gap: .75rem; }
.route code { overflow-wrap: anywhere; font-weight: 600; }
.method { flex: 0 0 3.2rem; font-size: .72rem; font-weight: 700; letter-spacing: .06em; color: var(--mint); }
.method.post, .method.put { color: var(--amber); }
.routes p { margin-left: 3.95rem; color: var(--quiet); font-size: .975rem; }
dl { margin: 1.25rem 0 0; display: grid; gap: .75rem; }
.error { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1.15rem; scroll-margin-top: 1.5rem; }
.error:target { border-color: var(--mint); box-shadow: 0 0 0 3px var(--wash); }
dt a { text-decoration: none; font-weight: 650; }
dt a:hover { text-decoration: underline; }
dd { margin: .15rem 0 0; }
.said { color: var(--quiet); font-style: italic; }
@media (max-width: 34rem) { .routes p { margin-left: 0; } }
`;
