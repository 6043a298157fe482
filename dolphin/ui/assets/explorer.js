'use strict';
// Walks a run: what is shown is asked for in windows; what is asked while an answer is on its way waits for it.
(() => {
  const page = document.querySelector('.explorer');
  if (!page) return;
  const $ = id => document.getElementById(id), name = page.dataset.run.split('/').map(encodeURIComponent).join('/');
  const box = page.querySelector('.canvas'), chart = new RunChart($('chart'));
  const view = {low: 0, high: 1, cursor: 0, asset: '', features: [], hidden: new Set(), trade: null, data: null,
    replaying: false};
  let about = null, speed = 1, playing = null;
  const LEAST = 20, MOST_FEATURES = 4;

  const get = async (what, asked = {}, signal = undefined) => {
    const answer = await fetch(`/data/${what}/${name}?${new URLSearchParams(asked)}`, {signal});
    if (answer.status === 403) throw new Error('the app was started anew: open the address that it printed');
    const found = await answer.json();
    if (found.error) throw new Error(found.error);
    return found;
  };
  const complain = error => {
    if (error.name !== 'AbortError') { $('told').textContent = String(error.message || error); page.dataset.error = 'yes'; }
  };
  const number = (value, digits = 2) => value === null || value === 'nan' ? '–'
    : Number(value).toLocaleString('en', {minimumFractionDigits: digits, maximumFractionDigits: digits});
  const figure = value => value === null || value === 'nan' ? '–' : Number(Number(value).toPrecision(7)).toLocaleString('en',
    {maximumSignificantDigits: 7});
  const percent = value => (value > 0 ? '+' : '') + number(100 * value, 3) + '%';
  const clock = text => text.slice(0, 19).replace('T', ' ');
  // One answer at a time: of all that was asked meanwhile the last alone is asked for.
  const latest = ask => {
    let running = false, waiting = null;
    const go = async wanted => {
      if (running) { waiting = wanted; return; }
      running = true;
      try { await ask(wanted); } catch (error) { complain(error); }
      running = false;
      if (waiting !== null) { const next = waiting; waiting = null; go(next); }
    };
    return go;
  };

  // ---- the window ----
  let loading = null, asked = null;
  const paint = () => { if (view.data) chart.draw(view); };
  const enough = data => data && data.asset === view.asset && data.low <= Math.max(view.low, about.first) &&
    data.high >= Math.min(view.high, about.last) && (data.high - data.low < 4 * (view.high - view.low + 1) ||
      data.price.row.length > data.high - data.low);
  const load = async () => {
    if (enough(view.data)) { paint(); return; }
    const span = view.high - view.low, low = Math.max(about.first, Math.floor(view.low - 0.6 * span));
    const high = Math.min(about.last, Math.ceil(view.high + span)), key = [view.asset, low, high].join();
    if (asked === key) return;
    if (loading) loading.abort();
    loading = new AbortController();
    asked = key;
    try {
      const data = await get('window', {asset: view.asset, low, high}, loading.signal);
      data.asset = key.slice(0, key.indexOf(','));
      view.data = data;
      page.dataset.rows = `${data.low}-${data.high}`;
      paint();
      if (!enough(data)) setTimeout(load);
    } catch (error) { complain(error); } finally { if (asked === key) asked = null; }
  };
  const show = (low, high) => {
    const span = Math.min(Math.max(high - low, LEAST), Math.max(about.last - about.first, LEAST));
    low = Math.round(Math.min(Math.max(low, about.first - span * 0.05), about.last + span * 0.05 - span));
    [view.low, view.high] = [low, low + Math.round(span)];
    paint();
    load();
  };
  const zoom = (factor, at = view.cursor) => {
    if (at < view.low || at > view.high) at = (view.low + view.high) / 2;
    show(at - (at - view.low) * factor, at + (view.high - at) * factor);
  };

  // ---- the bar ----
  const facts = latest(async row => {
    const at = await get('bar', {asset: view.asset, bar: row});
    const held = at.held.map(t => `${t.side.toLowerCase()} ${t.asset}`).join(', ') || 'flat';
    $('told').textContent = `${clock(at.time)} UTC · bar ${row.toLocaleString('en')} · ${view.asset} ${figure(at.price)}` +
      `${at.real ? '' : ' (stands: no trade in this bar)'} · equity ${number(at.equity)} · ${held}`;
    page.dataset.bar = row;
  });
  const explain = latest(async row => {
    $('why').setAttribute('aria-busy', 'true');
    try {
      const found = await get('why', {bar: row});
      if ('compiling' in found) {
        $('why').innerHTML = '<p class="empty">The first decision of a strategy has it compiled once, which takes about half ' +
          `a minute on a quiet machine; it is kept on disk. ${found.compiling} s so far.</p>`;
        setTimeout(() => { if (!playing && view.cursor === row) explain(row); }, 500);
        return;
      }
      $('why').innerHTML = found.html;
      $('why-bar').textContent = found.bar.toLocaleString('en');
      page.dataset.why = found.bar;
    } finally { $('why').removeAttribute('aria-busy'); }
  });
  let settle = null, explained = 0;
  const walkTo = (row, follow = true) => {
    row = Math.min(Math.max(Math.round(row), about.first), about.last);
    view.cursor = row;
    $('bar').value = row;
    const span = view.high - view.low;
    if (follow && (row < view.low + span * 0.02 || row > view.high - span * 0.12)) {
      const share = playing ? 0.7 : 0.5;
      show(row - share * span, row + (1 - share) * span);
    } else { paint(); }
    facts(row);
    clearTimeout(settle);
    if (!playing) settle = setTimeout(() => explain(row), 60);
    else if (performance.now() - explained > 300) { explained = performance.now(); explain(row); }
    // A browser takes few changes of the address in a while: a replay writes where it stopped.
    if (!playing) keep();
  };
  const keep = () => history.replaceState(null, '', `#bar=${view.cursor}&asset=${encodeURIComponent(view.asset)}`);

  // The bar that the address names, or null where the run has none of it; its asset is the view's from here on.
  const addressed = () => {
    const wanted = new URLSearchParams(location.hash.slice(1)), row = Number(wanted.get('bar'));
    if (about.assets.some(([asset]) => asset === wanted.get('asset'))) view.asset = wanted.get('asset');
    return wanted.has('bar') && row >= about.first && row <= about.last ? row : null;
  };

  // ---- trades ----
  const line = (head, value, tone = '') => `<div><dt>${head}</dt><dd class="${tone}">${value}</dd></div>`;
  const safe = text => { const one = document.createElement('span'); one.textContent = text; return one.innerHTML; };
  const choose = async (trade, look = true) => {
    view.trade = trade.id;
    if (view.asset !== trade.asset) { view.asset = trade.asset; $('asset').value = trade.asset; }
    const held = Math.max(trade.exit_bar - trade.entry_bar, 1), around = Math.max(1.2 * held, 25);
    if (look) { view.low = trade.entry_bar - around; view.high = trade.exit_bar + around; show(view.low, view.high); }
    view.replaying = false;
    walkTo(trade.entry_bar, false);
    load();
    try {
      const [entry, exit] = await Promise.all([trade.entry_bar, trade.exit_bar].map(bar =>
        get('bar', {asset: trade.asset, bar})));
      const tone = trade.pnl > 0 ? 'gain' : 'loss', side = trade.side.toLowerCase();
      const features = about.features.map((feature, k) => `<tr><th class="name" scope="row" title="${safe(feature.source)}">` +
        `${safe(feature.name)}</th><td>${figure(entry.features[k])}</td><td>${figure(exit.features[k])}</td></tr>`).join('');
      $('trade').innerHTML = '<dl class="facts">' + line('what', `${side} ${safe(trade.asset)}, ${figure(trade.quantity)} at ` +
        `${number(trade.leverage)}×`) + line('entry', `${clock(entry.time)} at ${figure(trade.entry_price)}`) +
        line('exit', `${clock(exit.time)} at ${figure(trade.exit_price)}`) + line('reason', safe(trade.exit_reason)) +
        line('P&amp;L', `${number(trade.pnl)} USDT (${percent(trade.pnl_pct)})`, tone) +
        line('held', `${trade.bars_held.toLocaleString('en')} bars`) + '</dl><p class="group">' +
        `<button type="button" data-bar="${trade.entry_bar}">why it was opened</button> ` +
        `<button type="button" data-bar="${trade.exit_bar}">why it was closed</button></p>` +
        (features ? `<div class="scroll flat" tabindex="0"><table><thead><tr><th class="name">feature</th><th>at entry</th>` +
          `<th>at exit</th></tr></thead><tbody>${features}</tbody></table></div>` : '');
      page.dataset.trade = trade.id;
    } catch (error) { complain(error); }
    document.querySelectorAll('#trades tr[aria-current]').forEach(row => row.removeAttribute('aria-current'));
    const mine = document.querySelector(`#trades tr[data-id="${trade.id}"]`);
    if (mine) mine.setAttribute('aria-current', 'true');
  };
  const next = async way => {
    try {
      const found = await get('next', {bar: view.cursor, way});
      if (found.bar === null) { $('told').textContent = way > 0 ? 'No entry or exit after this bar.' : 'None before it.'; return; }
      if (view.asset !== found.trade.asset) { view.asset = found.trade.asset; $('asset').value = found.trade.asset; }
      view.trade = found.trade.id;
      await choose(found.trade, found.bar < view.low || found.bar > view.high);
      walkTo(found.bar);
      load();
    } catch (error) { complain(error); }
  };

  const heads = [['entry_bar', 'entry'], ['asset', 'asset'], ['', 'side'], ['', 'in'], ['', 'out'], ['pnl', 'P&L'],
    ['pnl_pct', 'return'], ['bars_held', 'bars'], ['exit_reason', 'exit']];
  const list = {offset: 0, order: 'entry_bar', down: 0, asset: '', reason: ''};
  const listTrades = latest(async () => {
    const found = await get('trades', list), last = Math.min(found.offset + found.page, found.in_all);
    $('count').textContent = `${found.in_all.toLocaleString('en')} of ${about.trades.toLocaleString('en')}`;
    $('page').textContent = found.in_all ? ` ${(found.offset + 1).toLocaleString('en')} to ${last.toLocaleString('en')} ` : ' none ';
    $('page-back').disabled = found.offset === 0;
    $('page-on').disabled = last >= found.in_all;
    const table = $('trades'), body = table.tBodies[0];
    table.tHead.innerHTML = '<tr>' + heads.map(([key, shown], k) => `<th scope="col"${k < 2 ? ' class="name"' : ''}` +
      (key === list.order ? ` aria-sort="${list.down ? 'descending' : 'ascending'}"` : '') + '>' +
      (key ? `<button type="button" data-order="${key}">${safe(shown)}</button>` : safe(shown)) + '</th>').join('') + '</tr>';
    body.replaceChildren(...found.trades.map(trade => {
      const row = document.createElement('tr'), tone = trade.pnl > 0 ? 'gain' : 'loss';
      row.dataset.id = trade.id;
      row.innerHTML = `<th class="name" scope="row"><button type="button">${clock(trade.time)}</button></th>` +
        `<td class="name">${safe(trade.asset)}</td><td>${trade.side.toLowerCase()}</td><td>${figure(trade.entry_price)}</td>` +
        `<td>${figure(trade.exit_price)}</td><td class="${tone}">${number(trade.pnl)}</td>` +
        `<td class="${tone}">${percent(trade.pnl_pct)}</td><td>${trade.bars_held}</td><td>${safe(trade.exit_reason)}</td>`;
      row.addEventListener('click', () => { choose(trade); box.focus({preventScroll: true}); box.scrollIntoView({block: 'nearest'}); });
      return row;
    }));
    page.dataset.listed = found.trades.length;
  });

  // ---- replay ----
  const stop = () => {
    if (!playing) return;
    cancelAnimationFrame(playing.frame);
    playing = null;
    tellPlay();
    keep();
    explain(view.cursor);
  };
  const tellPlay = () => { page.querySelector('[data-do=play]').textContent = playing ? '❚❚ Stop' : '▶ Replay';
    page.dataset.playing = playing ? 'yes' : 'no'; $('told').setAttribute('aria-live', playing ? 'off' : 'polite'); };
  const play = () => {
    if (playing) { stop(); return; }
    playing = {at: performance.now(), bar: view.cursor, frame: 0};
    view.replaying = true;
    if (view.high - view.low > 600) show(view.cursor - 210, view.cursor + 90);
    const tick = now => {
      if (!playing) return;
      playing.bar += Math.min(now - playing.at, 250) / 1000 * speed;
      playing.at = now;
      if (Math.floor(playing.bar) > view.cursor) walkTo(Math.floor(playing.bar));
      if (view.cursor >= about.last) { stop(); return; }
      playing.frame = requestAnimationFrame(tick);
    };
    playing.frame = requestAnimationFrame(tick);
    tellPlay();
  };

  // ---- hands ----
  const walk = bars => { stop(); walkTo(view.cursor + bars); };
  const acts = {
    'back': () => walk(-1), 'on': () => walk(1), 'back10': () => walk(-10), 'on10': () => walk(10), 'play': play,
    'trade-on': () => { stop(); next(1); }, 'trade-back': () => { stop(); next(-1); },
    'in': () => zoom(0.5), 'out': () => zoom(2),
    'all': () => { view.replaying = false; show(about.first, about.last); },
  };
  const keys = {ArrowLeft: 'back', ArrowRight: 'on', 'shift+ArrowLeft': 'back10', 'shift+ArrowRight': 'on10', ' ': 'play',
    n: 'trade-on', p: 'trade-back', '+': 'in', '=': 'in', '-': 'out', '0': 'all'};
  const hands = () => {
    page.addEventListener('click', event => {
      const button = event.target.closest('[data-do]');
      if (button) acts[button.dataset.do]();
    });
    document.addEventListener('click', event => {
      const button = event.target.closest('button[data-bar]');
      if (button) { stop(); view.replaying = false; walkTo(Number(button.dataset.bar)); }
    });
    document.addEventListener('keydown', event => {
      if (event.target.closest('input, select, textarea') || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === ' ' && event.target.closest('button, a, summary')) return;
      if (event.target.closest('.scroll')) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const act = acts[keys[(event.shiftKey && key.length > 1 ? 'shift+' : '') + key]];
      if (act) { event.preventDefault(); act(); }
    });
    $('goto').addEventListener('submit', event => {
      event.preventDefault();
      const row = Number($('bar').value.replace(/[^0-9]/g, ''));
      stop();
      view.replaying = false;
      if (row < about.first || row > about.last) {
        $('told').textContent = `This run has bars ${about.first.toLocaleString('en')} to ${about.last.toLocaleString('en')}.`;
      } else { walkTo(row); }
    });
    // Another bar typed into the address of the page that is open.
    addEventListener('hashchange', () => {
      const row = addressed();
      if (row === null) return;
      stop();
      view.replaying = false;
      $('asset').value = view.asset;
      load();
      walkTo(row);
    });
    $('speed').addEventListener('change', () => { speed = Number($('speed').value); });
    $('asset').addEventListener('change', () => { view.asset = $('asset').value; view.trade = null; load(); facts(view.cursor); });
    let drag = null;
    const place = event => { const r = box.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
    box.addEventListener('pointerdown', event => {
      if (event.button === 0 && view.data) drag = {x: event.clientX, low: view.low, high: view.high, moved: false};
    });
    box.addEventListener('pointermove', event => {
      if (!drag) { box.classList.toggle('over', Boolean(chart.tradeAt && chart.tradeAt(...place(event)))); return; }
      const bars = (drag.x - event.clientX) / chart.plot * (drag.high - drag.low);
      if (!drag.moved && Math.abs(drag.x - event.clientX) > 4) { drag.moved = true; box.setPointerCapture(event.pointerId); }
      if (drag.moved) { stop(); show(drag.low + bars, drag.high + bars); }
    });
    box.addEventListener('pointerup', event => {
      const was = drag;
      drag = null;
      if (!was || was.moved || !view.data) return;
      stop();
      const trade = chart.tradeAt(...place(event));
      if (trade) { choose(trade, false); return; }
      view.replaying = false;
      walkTo(chart.rowAt(place(event)[0]), false);
    });
    box.addEventListener('pointercancel', () => { drag = null; });
    box.addEventListener('wheel', event => {
      event.preventDefault();
      if (!view.data) return;
      const at = chart.rowAt(place(event)[0]);
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const bars = event.deltaX / chart.plot * (view.high - view.low);
        show(view.low + bars, view.high + bars);
      } else { zoom(event.deltaY > 0 ? 1.25 : 0.8, at); }
    }, {passive: false});
    new ResizeObserver(paint).observe(box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
    $('trades').tHead.addEventListener('click', event => {
      const key = event.target.closest('[data-order]');
      if (!key) return;
      list.down = list.order === key.dataset.order ? 1 - list.down : 1;
      list.order = key.dataset.order;
      list.offset = 0;
      listTrades(true);
    });
    const turn = way => { list.offset = Math.max(0, list.offset + way * 200); listTrades(true); };
    $('page-back').addEventListener('click', () => turn(-1));
    $('page-on').addEventListener('click', () => turn(1));
    for (const [id, key] of [['of-asset', 'asset'], ['of-reason', 'reason']]) {
      $(id).addEventListener('change', () => { list[key] = $(id).value; list.offset = 0; listTrades(true); });
    }
    $('panels').addEventListener('click', event => {
      const key = event.target.closest('button');
      if (!key) return;
      const on = key.getAttribute('aria-pressed') !== 'true';
      key.setAttribute('aria-pressed', on);
      if (on) view.hidden.delete(key.dataset.panel); else view.hidden.add(key.dataset.panel);
      paint();
    });
  };

  // Says how long it has taken, while it is being opened.
  const waiting = () => {
    const told = $('told'), words = told.textContent, began = Date.now();
    told.setAttribute('aria-live', 'off');
    return setInterval(() => { told.textContent = `${words} (${Math.round((Date.now() - began) / 1000)} s)`; }, 1000);
  };
  const open = async () => {
    const ticking = waiting();
    try { about = await get('about'); } finally { clearInterval(ticking); $('told').setAttribute('aria-live', 'polite'); }
    view.features = about.features;
    const option = (value, shown) => { const one = document.createElement('option'); one.value = value;
      one.textContent = shown; return one; };
    for (const [asset, count] of about.assets) {
      $('asset').append(option(asset, count ? `${asset} (${count})` : asset));
      if (count) $('of-asset').append(option(asset, `${asset} (${count})`));
    }
    about.reasons.forEach(reason => $('of-reason').append(option(reason, reason)));
    about.features.slice(MOST_FEATURES).forEach(feature => view.hidden.add(feature.name));
    for (const panel of ['equity', ...about.features.map(feature => feature.name)]) {
      const key = document.createElement('button');
      key.type = 'button';
      key.dataset.panel = panel;
      key.textContent = panel;
      key.setAttribute('aria-pressed', !view.hidden.has(panel));
      $('panels').append(key);
    }
    const row = addressed();
    view.asset ||= about.assets[0][0];
    $('asset').value = view.asset;
    [view.low, view.high, view.cursor] = [about.first, about.last, about.first];
    hands();
    tellPlay();
    if (row !== null) {
      show(row - 150, row + 150);
      walkTo(row, false);
    } else {
      const first = await get('next', {bar: about.first - 1, way: 1});
      // The decision that is told first is about the asset that is drawn.
      if (first.bar !== null) view.asset = $('asset').value = first.trade.asset;
      show(about.first, about.last);
      walkTo(first.bar === null ? about.first : first.bar, false);
    }
    await load();
    listTrades(true);
    while (!view.data && !page.dataset.error) await new Promise(done => setTimeout(done, 20));
    page.dataset.ready = 'yes';
  };
  open().catch(complain);
})();
