window.unpacked.then(() => {
  if (!window.Plotly) return;
  const boxes = [...document.querySelectorAll('.chart')];
  const config = {responsive: true, displayModeBar: false, displaylogo: false, plotlyServerURL: ''};
  const touch = matchMedia('(pointer: coarse)').matches;
  const theme = layout => {
    const css = getComputedStyle(document.documentElement), v = n => css.getPropertyValue(n).trim();
    const out = {'font.color': v('--ink'), 'hoverlabel.bgcolor': v('--panel'), 'hoverlabel.bordercolor': v('--line'),
      'hoverlabel.font.color': v('--ink')};
    for (const name of Object.keys(layout)) if (/^[xy]axis/.test(name)) Object.assign(out, {
      [name + '.gridcolor']: v('--grid'), [name + '.linecolor']: v('--line'), [name + '.zerolinecolor']: v('--muted'),
      [name + '.tickfont.color']: v('--muted'), [name + '.title.font.color']: v('--muted'),
      [name + '.spikecolor']: v('--muted')});
    return out;
  };
  const paint = box => Plotly.relayout(box, theme(box.layout));
  const drawn = boxes.map(async box => {
    const data = document.getElementById(box.dataset.figure);
    const spec = JSON.parse(data.type === 'application/gzip' ? await window.unpack(data) : data.textContent);
    box.views = spec.views;
    if (touch) spec.layout.dragmode = false;  // a finger on a chart scrolls the page
    return Plotly.newPlot(box, spec.data, spec.layout, config).then(() => paint(box));
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
});
