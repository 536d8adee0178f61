// Small charts as SVG, and numbers for people. No state, no network.
'use strict';

const charts = (() => {
  const svgName = 'http://www.w3.org/2000/svg';

  function svg(name, attributes, ...children) {
    const element = document.createElementNS(svgName, name);
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function count(value) {
    return Math.round(value).toLocaleString('en-US');
  }

  // 1234567 -> "1.23 M": for places without room.
  function short(value) {
    for (const [size, name] of [[1e12, ' T'], [1e9, ' G'], [1e6, ' M'], [1e4, ' k']]) {
      if (Math.abs(value) >= size) {
        const unit = size === 1e4 ? 1e3 : size;
        return `${Number((value / unit).toPrecision(3))}${name}`;
      }
    }
    return count(value);
  }

  function bytes(value) {
    const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
      value /= 1000;
      unit += 1;
    }
    return `${unit === 0 ? Math.round(value) : Number(value.toPrecision(3))} ${units[unit]}`;
  }

  function duration(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return `${hours} h ${minutes % 60} min`;
    return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  }

  // The next of 1, 2, 5, 10, ... at or above.
  function roundUp(value) {
    if (value < 4) return 4;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999999);
  }

  function frame(holder) {
    const box = holder.getBoundingClientRect();
    const width = Math.max(220, Math.round(box.width));
    const height = Math.max(100, Math.round(box.height));
    return {
      width, height, left: 58, right: width - 8, top: 8, bottom: height - 22,
      root: svg('svg', {viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true'}),
    };
  }

  function axes(area, top, format) {
    for (const part of [0, 0.5, 1]) {
      const y = area.bottom - part * (area.bottom - area.top);
      area.root.append(svg('line', {class: 'grid', x1: area.left, x2: area.right, y1: y, y2: y}));
      const label = svg('text', {class: 'axis', x: area.left - 8, y: y + 4, 'text-anchor': 'end'});
      label.textContent = format(part * top);
      area.root.append(label);
    }
  }

  function caption(area, x, text, anchor) {
    const label = svg('text', {class: 'axis', x, y: area.height - 5, 'text-anchor': anchor});
    label.textContent = text;
    area.root.append(label);
  }

  function nothing(holder, text) {
    const area = frame(holder);
    const label = svg('text', {
      class: 'empty', x: area.width / 2, y: area.height / 2, 'text-anchor': 'middle',
    });
    label.textContent = text;
    area.root.append(label);
    holder.replaceChildren(area.root);
  }

  // points: [[ms, value], ...] ascending.
  function line(holder, points, format, clock) {
    if (points.length < 2) return nothing(holder, 'Not enough looks yet');
    const area = frame(holder);
    const top = roundUp(Math.max(...points.map((point) => point[1])));
    axes(area, top, format);
    const [first, last] = [points[0][0], points[points.length - 1][0]];
    const at = ([ms, value]) => {
      const x = area.left + (ms - first) / Math.max(1, last - first) * (area.right - area.left);
      const y = area.bottom - value / top * (area.bottom - area.top);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    };
    const path = points.map(at).join(' ');
    const floor = `${area.right},${area.bottom} ${area.left},${area.bottom}`;
    area.root.append(svg('polygon', {class: 'area', points: `${path} ${floor}`}));
    area.root.append(svg('polyline', {class: 'line', points: path}));
    caption(area, area.left, clock(first), 'start');
    caption(area, area.right, clock(last), 'end');
    holder.replaceChildren(area.root);
  }

  // labels: of the first, the middle and the last bar.
  function bars(holder, values, format, labels) {
    if (!values.some((value) => value > 0)) return nothing(holder, 'Nothing yet');
    const area = frame(holder);
    const top = roundUp(Math.max(...values));
    axes(area, top, format);
    const step = (area.right - area.left) / values.length;
    const gap = step > 6 ? 2 : 0;
    values.forEach((value, index) => {
      const height = value / top * (area.bottom - area.top);
      area.root.append(svg('rect', {
        class: 'bar', x: (area.left + index * step + gap / 2).toFixed(1),
        y: (area.bottom - height).toFixed(1), width: Math.max(0.5, step - gap).toFixed(1),
        height: height.toFixed(1), rx: gap,
      }));
    });
    labels.forEach((label, index) => {
      const anchor = ['start', 'middle', 'end'][index];
      caption(area, [area.left, (area.left + area.right) / 2, area.right][index], label, anchor);
    });
    holder.replaceChildren(area.root);
  }

  function spark(values) {
    const root = svg('svg', {class: 'spark', viewBox: '0 0 92 24', 'aria-hidden': 'true'});
    if (values.length > 1) {
      const top = Math.max(1, ...values);
      const points = values.map((value, index) => {
        const x = 1 + index / (values.length - 1) * 90;
        return `${x.toFixed(1)},${(22 - value / top * 20).toFixed(1)}`;
      });
      root.append(svg('polyline', {points: points.join(' ')}));
    }
    return root;
  }

  return {count, short, bytes, duration, line, bars, spark};
})();
