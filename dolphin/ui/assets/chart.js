'use strict';
// One canvas: price with trades, equity, features below each other on one axis of bars. Draws what it is told, no more.
window.RunChart = class {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.marks = [];
  }

  colours() {
    const css = getComputedStyle(document.documentElement), of = name => css.getPropertyValue(name).trim();
    return {ink: of('--ink'), muted: of('--muted'), line: of('--line'), grid: of('--grid'), panel: of('--panel'),
      gain: of('--gain'), loss: of('--loss'), accent: of('--accent')};
  }

  // Panels from the top: name, curve, share of the height.
  panels(view) {
    const shown = [{name: view.asset, curve: view.data.price, share: 5, price: true}];
    if (!view.hidden.has('equity')) shown.push({name: 'equity', curve: view.data.equity, share: 1.5});
    view.features.forEach((feature, k) => {
      if (!view.hidden.has(feature.name)) shown.push({name: feature.name, curve: view.data.features[k], share: 1.25});
    });
    return shown;
  }

  draw(view) {
    const box = this.canvas.parentElement, ratio = window.devicePixelRatio || 1;
    const width = box.clientWidth, narrow = width < 560;
    const panels = this.panels(view), shares = panels.reduce((sum, panel) => sum + panel.share, 0);
    const height = Math.max(narrow ? 320 : 400, Math.round(shares * (narrow ? 50 : 66)));
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.height = height + 'px';
    }
    const pen = this.context, colour = this.colours(), left = narrow ? 54 : 72, right = 10, below = 22;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = '11px system-ui, "Segoe UI", Roboto, Arial, "Liberation Sans", sans-serif';
    pen.textBaseline = 'middle';
    const span = Math.max(view.high - view.low, 1), plot = width - left - right;
    const x = row => left + (row - view.low) / span * plot;
    Object.assign(this, {left, plot, view, x, height});
    const end = view.replaying ? Math.min(view.high, view.cursor) : view.high;
    let top = 6;
    this.marks = [];
    const room = height - below - top;
    for (const panel of panels) {
      const tall = room * panel.share / shares - 8;
      this.panel(pen, colour, panel, top, tall, end, width - right);
      top += tall + 8;
    }
    this.times(pen, colour, height - below + 10);
    if (view.cursor >= view.low && view.cursor <= view.high) {
      pen.strokeStyle = colour.accent;
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(x(view.cursor), 4);
      pen.lineTo(x(view.cursor), height - below);
      pen.stroke();
    }
  }

  panel(pen, colour, panel, top, tall, end, right) {
    const {row, value} = panel.curve, view = this.view;
    let low = Infinity, high = -Infinity;
    const first = Math.max(0, this.search(row, view.low) - 1), last = Math.min(row.length - 1, this.search(row, end));
    for (let k = first; k <= last; k++) {
      if (value[k] === null || (row[k] > end && k > first)) continue;
      low = Math.min(low, value[k]);
      high = Math.max(high, value[k]);
    }
    const trades = panel.price ? view.data.trades.filter(t => t.entry_bar <= end && t.exit_bar >= view.low) : [];
    if (low > high) { low = 0; high = 1; }
    const air = (high - low || Math.abs(high) * 0.01 || 1) * 0.06;
    low -= air;
    high += air;
    const y = v => top + (high - v) / (high - low) * tall;
    this.levels(pen, colour, low, high, y, right, tall);
    pen.save();
    pen.beginPath();
    pen.rect(this.left, top - 2, this.plot, tall + 4);
    pen.clip();
    pen.strokeStyle = panel.price ? colour.ink : colour.gain;
    pen.lineWidth = panel.price ? 1.3 : 1.1;
    pen.beginPath();
    let down = false;
    for (let k = first; k <= last; k++) {
      if (value[k] === null || row[k] > end) { down = false; continue; }
      if (down) pen.lineTo(this.x(row[k]), y(value[k]));
      else pen.moveTo(this.x(row[k]), y(value[k]));
      down = true;
    }
    pen.stroke();
    const few = row.length < 130 && this.plot / Math.max(view.high - view.low, 1) > 6;
    if (few) {
      pen.fillStyle = pen.strokeStyle;
      for (let k = first; k <= last; k++) {
        if (value[k] !== null && row[k] <= end) pen.fillRect(this.x(row[k]) - 1.5, y(value[k]) - 1.5, 3, 3);
      }
    }
    if (panel.price) this.trades(pen, colour, trades, y, end);
    pen.restore();
    pen.fillStyle = colour.panel;
    const name = panel.name, wide = pen.measureText(name).width;
    pen.globalAlpha = 0.8;
    pen.fillRect(this.left + 4, top, wide + 8, 16);
    pen.globalAlpha = 1;
    pen.fillStyle = colour.muted;
    pen.textAlign = 'left';
    pen.fillText(name, this.left + 8, top + 8);
  }

  levels(pen, colour, low, high, y, right, tall) {
    const raw = (high - low) / Math.max(2, Math.min(6, tall / 34)), power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map(size => size * power).find(size => size >= raw);
    pen.textAlign = 'right';
    pen.lineWidth = 1;
    for (let k = Math.ceil(low / step); k * step <= high; k++) {
      const at = Math.round(y(k * step)) + 0.5;
      pen.strokeStyle = colour.grid;
      pen.beginPath();
      pen.moveTo(this.left, at);
      pen.lineTo(right, at);
      pen.stroke();
      pen.fillStyle = colour.muted;
      pen.fillText(RunChart.figure(k * step, step), this.left - 6, at);
    }
  }

  static figure(value, step) {
    const size = Math.abs(value) < step / 1e6 ? 0 : Math.abs(value);
    if (!size) return '0';
    if (size >= 1e6) return (value / 1e6).toPrecision(4).replace(/\.?0+$/, '') + 'M';
    if (size < 1e-4) return value.toExponential(1);
    const digits = Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9)));
    return value.toLocaleString('en', {minimumFractionDigits: digits, maximumFractionDigits: digits});
  }

  trades(pen, colour, trades, y, end) {
    const many = trades.length > 250, size = many ? 3 : 6;
    for (const trade of trades) {
      const chosen = this.view.trade === trade.id, gain = trade.pnl > 0;
      const bought = trade.side === 'LONG', over = trade.exit_bar > end;
      const a = [this.x(trade.entry_bar), y(trade.entry_price)], b = [this.x(trade.exit_bar), y(trade.exit_price)];
      const tone = over ? colour.muted : gain ? colour.gain : colour.loss;
      if (!over && (!many || chosen)) {
        pen.strokeStyle = tone;
        pen.lineWidth = chosen ? 3 : 1.4;
        pen.setLineDash(chosen ? [] : [4, 3]);
        pen.beginPath();
        pen.moveTo(...a);
        pen.lineTo(...b);
        pen.stroke();
        pen.setLineDash([]);
      }
      const big = chosen ? size + 3 : size;
      pen.fillStyle = tone;
      pen.strokeStyle = colour.panel;
      pen.lineWidth = 1.5;
      pen.beginPath();
      const way = bought ? -1 : 1;
      pen.moveTo(a[0], a[1] + way * big);
      pen.lineTo(a[0] - big, a[1] - way * big * 0.8);
      pen.lineTo(a[0] + big, a[1] - way * big * 0.8);
      pen.closePath();
      pen.fill();
      pen.stroke();
      this.marks.push([a[0], a[1], trade]);
      if (over) continue;
      pen.beginPath();
      if (gain) {
        pen.arc(b[0], b[1], big * 0.75, 0, 2 * Math.PI);
        pen.fill();
        pen.stroke();
      } else {
        const arm = big * 0.75;
        pen.strokeStyle = tone;
        pen.lineWidth = chosen ? 3.5 : 2.5;
        pen.moveTo(b[0] - arm, b[1] - arm);
        pen.lineTo(b[0] + arm, b[1] + arm);
        pen.moveTo(b[0] + arm, b[1] - arm);
        pen.lineTo(b[0] - arm, b[1] + arm);
        pen.stroke();
      }
      this.marks.push([b[0], b[1], trade]);
    }
  }

  times(pen, colour, at) {
    const {row} = this.view.data.price, {times} = this.view.data, view = this.view;
    const count = Math.max(2, Math.floor(this.plot / 130)), span = view.high - view.low;
    const from = this.time(row, times, view.low), to = this.time(row, times, view.high);
    const fine = to - from < 3 * 864e5, finest = to - from < 10 * 6e4;
    pen.fillStyle = colour.muted;
    for (let k = 0; k <= count; k++) {
      const place = view.low + span * k / count;
      const text = new Date(this.time(row, times, place)).toISOString();
      pen.textAlign = k === 0 ? 'left' : k === count ? 'right' : 'center';
      pen.fillText(fine ? text.slice(5, finest ? 19 : 16).replace('T', ' ') : text.slice(0, 10), this.x(place), at);
    }
  }

  time(row, times, place) {
    const k = Math.min(Math.max(this.search(row, place), 1), row.length - 1);
    if (row.length < 2) return times[0];
    const share = (place - row[k - 1]) / (row[k] - row[k - 1]);
    return times[k - 1] + Math.min(Math.max(share, 0), 1) * (times[k] - times[k - 1]);
  }

  // The first place whose row is not below.
  search(rows, row) {
    let low = 0, high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle] < row) low = middle + 1; else high = middle;
    }
    return low;
  }

  rowAt(x) {
    const {view} = this;
    return Math.round(view.low + (x - this.left) / this.plot * (view.high - view.low));
  }

  tradeAt(x, y) {
    let found = null, best = 12 ** 2;
    for (const [a, b, trade] of this.marks) {
      const distance = (a - x) ** 2 + (b - y) ** 2;
      if (distance < best) [best, found] = [distance, trade];
    }
    return found;
  }
};
