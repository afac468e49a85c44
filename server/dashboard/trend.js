// The small charts, in SVG. Attributes only: the policy allows no style attributes.

import { el, setAttributes, setText, svg } from './dom.js';

const WIDTH = 300;

function chart(className, height, label) {
  return svg('svg', {
    class: className, viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: 'none', ...(label ? { role: 'img' } : { 'aria-hidden': 'true' }),
  });
}

/** Bars, one a bucket, the newest at the right; `shown` of them fill the width. */
export function bars(className, count) {
  const height = 30;
  const root = chart(className, height);
  const pitch = WIDTH / count;
  const rects = Array.from({ length: count }, (_, i) => svg('rect', { x: i * pitch, width: pitch * 0.7, y: height, height: 0 }));
  root.append(...rects);
  function draw(values, shown) {
    setAttributes(root, { viewBox: `${(count - shown) * pitch} 0 ${shown * pitch} ${height}` });
    const highest = Math.max(1, ...values);
    values.forEach((value, i) => {
      const high = value === 0 ? 0 : Math.max(1.5, (height * value) / highest);
      setAttributes(rects[i], { y: (height - high).toFixed(1), height: high.toFixed(1) });
    });
  }
  return { root, draw };
}

/** Stacked bars of two colours with one more in the middle: stored, duplicate, refused, a minute each. */
export function stackedBars(className, count, kinds) {
  const height = 40;
  const root = chart(className, height, true);
  const pitch = WIDTH / count;
  const columns = Array.from({ length: count }, (_, i) => kinds.map((kind) => svg('rect', { class: kind, x: i * pitch, width: pitch * 0.75, y: height, height: 0 })));
  root.append(...columns.flat());
  function draw(minutes, label) {
    const highest = Math.max(...minutes.map((parts) => parts.reduce((sum, n) => sum + n, 0)));
    minutes.forEach((parts, i) => {
      let y = height;
      parts.forEach((value, kind) => {
        const high = value === 0 ? 0 : Math.max(0.8, (height * value) / highest);
        y -= high;
        setAttributes(columns[i][kind], { y: y.toFixed(2), height: high.toFixed(2) });
      });
    });
    root.setAttribute('aria-label', label);
    return highest;
  }
  return { root, draw };
}

/** A line of samples, the newest at the right, `shown` of them over the width; a null is a break in it. */
export function line(className) {
  const height = 60;
  const path = svg('path', { class: 'line', d: '' });
  const area = svg('path', { class: 'area', d: '' });
  const root = chart(className, height);
  root.append(area, path);
  const top = el('span', { className: 'num' });
  const bottom = el('span', { className: 'num' });
  const scale = el('div', { className: 'scale' }, top, bottom);

  function draw(samples, shown) {
    const known = samples.filter((v) => v !== null);
    if (known.length === 0) return;
    const { low, high } = bounds(known);
    const x = (i) => WIDTH - ((samples.length - 1 - i) * WIDTH) / (shown - 1);
    const y = (v) => height - 2 - ((height - 4) * (v - low)) / (high - low);
    const runs = runsOf(samples);
    const points = (run) => run.map(([i, v]) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join('L');
    path.setAttribute('d', runs.map((run) => `M${points(run)}`).join(''));
    const closed = (run) => `M${x(run[0][0]).toFixed(1)} ${height}L${points(run)}L${x(run.at(-1)[0]).toFixed(1)} ${height}Z`;
    area.setAttribute('d', runs.map(closed).join(''));
    setText(top, `${high.toFixed(1)} %`);
    setText(bottom, `${low.toFixed(1)} %`);
  }
  return { root, scale, draw };
}

/** Bounds that leave a steady line in the middle rather than at an edge, and never show noise as a mountain. */
export function bounds(values) {
  const min = Math.min(...values);
  const max = Math.max(...values);
  const slack = Math.max((max - min) * 0.15, 0.5);
  return { low: Math.max(0, min - slack), high: Math.min(100, Math.max(max + slack, min + 2 * slack)) };
}

/** The stretches without a break, as [index, value]. */
export function runsOf(samples) {
  const runs = [];
  let run = [];
  samples.forEach((value, i) => {
    if (value !== null) run.push([i, value]);
    else if (run.length > 0) {
      runs.push(run);
      run = [];
    }
  });
  if (run.length > 0) runs.push(run);
  return runs;
}
