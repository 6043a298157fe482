"""The look of every page, and the few lines of script that sort, draw and print it."""

from __future__ import annotations

_LIGHT = """color-scheme: light; --paper: #f5f6f8; --panel: #fff; --ink: #1b2330; --muted: #5d6878; --line: #dfe3e9;
  --grid: #e9ecf1; --gain: #1565a5; --loss: #b4470f; --stripe: #f7f8fa;"""
_DARK = """color-scheme: dark; --paper: #10141b; --panel: #181e27; --ink: #e4e8ee; --muted: #98a3b3; --line: #2b3442;
  --grid: #262e3a; --gain: #6cb4ee; --loss: #f29a66; --stripe: #1c232d;"""

CSS = f"""
:root {{ {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
:root.print {{ {_LIGHT} --paper: #fff; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 14px/1.45 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif; font-variant-numeric: tabular-nums lining-nums; }}
main {{ max-width: 1200px; margin: 0 auto; padding: 28px 20px 48px; display: grid;
  grid-template-columns: repeat(12, minmax(0, 1fr)); gap: 16px; }}
main > * {{ grid-column: 1 / -1; min-width: 0; }}
main > .half {{ grid-column: span 6; }}
main > .wide {{ grid-column: span 7; }}
main > .slim {{ grid-column: span 5; }}
h1 {{ font-size: 26px; line-height: 1.2; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }}
h2 {{ font-size: 15px; margin: 0 0 10px; }}
h3 {{ font-size: 12px; margin: 16px 0 4px; color: var(--muted); text-transform: uppercase; letter-spacing: .05em; }}
p {{ margin: 0; }}
header .title {{ display: flex; flex-wrap: wrap; align-items: center; gap: 8px 14px; }}
header .sub {{ color: var(--muted); margin-top: 6px; overflow-wrap: anywhere; }}
header .sub b {{ color: var(--ink); font-weight: 600; }}
.badge {{ font-weight: 700; font-size: 13px; letter-spacing: .06em; padding: 4px 12px; border-radius: 6px; color: #fff; }}
.badge.synthetic {{ background: #f28c00; color: #1b1200; }}
.badge.bad {{ background: #b3202c; }}
.badge.good {{ background: #1565a5; }}
.notice {{ border-left: 5px solid; border-radius: 6px; padding: 10px 14px; background: var(--panel); overflow-wrap: anywhere; }}
.notice.synthetic {{ border-color: #f28c00; background: rgba(242, 140, 0, .16); }}
.notice.bad {{ border-color: #b3202c; background: rgba(179, 32, 44, .12); }}
.notice.caveat {{ border-color: #8a94a3; }}
.figures {{ display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 1px; background: var(--line);
  border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }}
.figures div {{ background: var(--panel); padding: 12px 16px; min-width: 0; }}
.figures dt {{ color: var(--muted); font-size: 12px; }}
.figures dd {{ margin: 2px 0 0; font-size: 21px; font-weight: 600; letter-spacing: -.01em; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; }}
.figures dd small {{ display: block; font-size: 12px; font-weight: 400; color: var(--muted); letter-spacing: 0;
  overflow: hidden; text-overflow: ellipsis; }}
.card {{ background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; }}
.note, .empty {{ color: var(--muted); font-size: 12.5px; }}
.note {{ margin: -6px 0 10px; }}
.empty {{ padding: 24px 0; text-align: center; }}
.gain {{ color: var(--gain); }} .loss {{ color: var(--loss); }}
.heat .gain, .heat .loss {{ color: inherit; }}
.scroll {{ overflow: auto; max-height: 460px; }}
.scroll:focus-visible {{ outline: 2px solid var(--gain); }}
table {{ border-collapse: separate; border-spacing: 0; width: 100%; font-size: 13px; }}
th, td {{ padding: 5px 9px; text-align: right; white-space: nowrap; font-weight: 400; border-bottom: 1px solid var(--grid); }}
th.name, td.name {{ text-align: left; }}
td.prose {{ white-space: normal; min-width: 180px; text-align: left; }}
thead th {{ position: sticky; top: 0; background: var(--panel); color: var(--muted); font-size: 12px; z-index: 1;
  border-bottom: 1px solid var(--line); }}
tbody th {{ font-weight: 500; }}
tfoot th, tfoot td {{ position: sticky; bottom: 0; background: var(--panel); font-weight: 600; border-top: 1px solid var(--line);
  border-bottom: 0; }}
thead button {{ all: unset; cursor: pointer; }}
thead button:hover, thead button:focus-visible {{ color: var(--ink); text-decoration: underline; }}
thead [aria-sort=ascending] button::after {{ content: " ▲"; font-size: 9px; }}
thead [aria-sort=descending] button::after {{ content: " ▼"; font-size: 9px; }}
table.heat td {{ border: 1px solid var(--panel); border-radius: 4px; }}
.mark {{ font-style: normal; margin-right: 6px; }}
.facts {{ margin: 0; columns: 2; column-gap: 36px; }}
.slim .facts, .half .facts {{ columns: 1; }}
.facts div {{ display: flex; justify-content: space-between; gap: 16px; padding: 3px 0; break-inside: avoid;
  border-bottom: 1px solid var(--grid); }}
.facts dt {{ color: var(--muted); white-space: nowrap; }}
.facts dd {{ margin: 0; text-align: right; overflow-wrap: anywhere; }}
.chart {{ width: 100%; height: 340px; }}
.chart.tall {{ height: 500px; }}
.chart.low {{ height: 220px; }}
.keys {{ display: flex; flex-wrap: wrap; gap: 4px 8px; margin: 0 0 6px; }}
.keys button {{ all: unset; cursor: pointer; font-size: 12px; padding: 2px 9px; border: 1px solid var(--line);
  border-radius: 20px; color: var(--muted); }}
.keys button[aria-pressed=true] {{ color: var(--ink); background: var(--stripe); }}
.keys button[aria-pressed=false] .mark {{ opacity: .25; }}
.keys button:focus-visible {{ outline: 2px solid var(--gain); }}
.keys .gap {{ flex: 1; }}
footer {{ color: var(--muted); font-size: 12px; overflow-wrap: anywhere; }}
@media (max-width: 900px) {{ main > .half, main > .wide, main > .slim {{ grid-column: 1 / -1; }}
  .figures {{ grid-template-columns: repeat(4, minmax(0, 1fr)); }} }}
@media (max-width: 620px) {{ main {{ padding: 16px 10px 32px; gap: 12px; }} h1 {{ font-size: 21px; }}
  .card {{ padding: 12px; }} .figures {{ grid-template-columns: repeat(2, minmax(0, 1fr)); }}
  .figures div {{ padding: 10px 12px; }} .figures dd {{ font-size: 18px; }}
  .facts {{ columns: 1; }} .chart.tall {{ height: 420px; }} .chart {{ height: 300px; }}
  .facts dt {{ white-space: normal; }} }}
@media print {{ body {{ font-size: 11px; }} main {{ max-width: none; padding: 0; }} .scroll {{ max-height: none; overflow: visible; }}
  .card, .figures, .notice {{ break-inside: avoid; }} .card.long {{ break-inside: auto; }}
  thead th, tfoot th, tfoot td {{ position: static; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }} }}
"""

SORT = """
document.querySelectorAll('table.sortable').forEach(table => {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const value = (row, i) => row.cells[i].dataset.order ?? row.cells[i].textContent;
  heads.forEach((head, i) => head.querySelector('button').addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') !== 'descending';
    heads.forEach(h => h.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a, i), y = value(b, i), d = x - y;
      const c = Number.isNaN(d) ? String(x).localeCompare(String(y)) : d;
      return down ? -c : c;
    });
    body.append(...rows);
  }));
});
"""

# Colours of a chart come from the page's own variables, so that light, dark and paper agree.
CHARTS = """
(() => {
  const boxes = [...document.querySelectorAll('.chart')];
  const config = {responsive: true, displaylogo: false, plotlyServerURL: '',
    modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d']};
  const theme = layout => {
    const css = getComputedStyle(document.documentElement), v = n => css.getPropertyValue(n).trim();
    const out = {'font.color': v('--ink'), 'hoverlabel.bgcolor': v('--panel'), 'hoverlabel.bordercolor': v('--line'),
      'hoverlabel.font.color': v('--ink'), 'modebar.bgcolor': 'rgba(0,0,0,0)', 'modebar.color': v('--muted'),
      'modebar.activecolor': v('--ink')};
    for (const name of Object.keys(layout)) if (/^[xy]axis/.test(name)) Object.assign(out, {
      [name + '.gridcolor']: v('--grid'), [name + '.linecolor']: v('--line'), [name + '.zerolinecolor']: v('--muted'),
      [name + '.tickfont.color']: v('--muted'), [name + '.title.font.color']: v('--muted'),
      [name + '.spikecolor']: v('--muted')});
    return out;
  };
  const paint = box => Plotly.relayout(box, theme(box.layout));
  const drawn = boxes.map(box => {
    const spec = JSON.parse(document.getElementById(box.dataset.figure).textContent);
    return Plotly.newPlot(box, spec.data, spec.layout, config).then(() => { box.views = spec.views; return paint(box); });
  });
  Promise.all(drawn).then(() => { document.documentElement.dataset.drawn = boxes.length; });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => boxes.forEach(paint));
  const print = on => { document.documentElement.classList.toggle('print', on);
    boxes.forEach(box => { paint(box); Plotly.Plots.resize(box); }); };
  addEventListener('beforeprint', () => print(true));
  addEventListener('afterprint', () => print(false));
  document.querySelectorAll('.keys').forEach(keys => {
    const box = keys.parentElement.querySelector('.chart');
    keys.addEventListener('click', event => {
      const key = event.target.closest('button');
      if (!key) return;
      if (key.dataset.trace !== undefined) {
        const on = key.getAttribute('aria-pressed') !== 'true';
        key.setAttribute('aria-pressed', on);
        Plotly.restyle(box, {visible: on}, [Number(key.dataset.trace)]);
      } else {
        keys.querySelectorAll('[data-view]').forEach(k => k.setAttribute('aria-pressed', k === key));
        const view = box.views[key.dataset.view];
        Plotly.update(box, view.data, view.layout).then(() => paint(box));
      }
    });
  });
})();
"""
