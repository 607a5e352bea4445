// Plots of a design: curves with the bounds on them, the Smith chart, traces. Drawn by Plotly, which loads beside the page.

import { make } from './dom.js';
import { boundsOf, meets } from './units.js';

const SCATTERING = /^s\d\d$/;
const LOWEST_DB = -60;

let library = null;
const coarse = () => matchMedia('(pointer: coarse)').matches;

/** Plotly, once it is there. */
export function plotly() {
  library ??= new Promise((resolve, reject) => {
    const script = make('script', { src: 'plotly.min.js' });
    script.addEventListener('load', () => resolve(window.Plotly));
    script.addEventListener('error', () => reject(new Error('plotly.min.js cannot be loaded')));
    document.head.append(script);
  });
  return library;
}

export function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour('text'), faint: colour('faint'), line: colour('line'), panel: colour('panel'),
    met: colour('met'), missed: colour('missed'), accent: colour('accent'), trace: colour('trace'),
    curve: { s21: colour('s21'), s11: colour('s11'), s22: colour('s22'), s12: colour('s12') },
  };
}

export function layout(colours, more = {}) {
  const axis = { gridcolor: colours.line, zerolinecolor: colours.line, linecolor: colours.line, ticks: '' };
  const { xaxis, yaxis, ...rest } = more;
  return {
    font: { family: 'system-ui, sans-serif', size: 12, color: colours.text },
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    margin: { l: 60, r: 14, t: 12, b: 44 },
    hoverlabel: { font: { size: 12 } },
    // Fingers scroll the page; a mouse zooms.
    dragmode: coarse() ? false : 'zoom',
    uirevision: 'kept',
    ...rest,
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, ...yaxis },
  };
}

export const CONFIG = {
  displaylogo: false, ...(coarse() ? { displayModeBar: false } : {}),
  modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d', 'zoomIn2d', 'zoomOut2d'],
};

const decibels = ({ re, im }) => re.map((part, index) => (part === null ? null : 20 * Math.log10(Math.max(Math.hypot(part, im[index]), 1e-9))));
const gigahertz = (values) => values.map((value) => value / 1e9);
const isScattering = (name) => SCATTERING.test(name);
const overFrequency = (curve) => curve.x_label === 'frequency (Hz)';
const named = (name) => name[0].toUpperCase() + name.slice(1);

/** Value of a curve at the x nearest to one. */
function near(x, values, wanted) {
  const nearest = x.reduce((best, value, index) => (Math.abs(value - wanted) < Math.abs(x[best] - wanted) ? index : best), 0);
  return { index: nearest, value: values[nearest] };
}

/** The bounds of a specification that can be shown on curves: curve, sense and bound as the curve has them. */
function shownBounds(circuitClass, specification, metrics, curves) {
  return boundsOf(specification).flatMap((bound) => {
    const metric = circuitClass.metrics.find((one) => one.name === bound.metric);
    const curve = metric.shown_in.find((name) => name in curves && overFrequency(curves[name]));
    if (!curve) return [];
    const flip = metric.negated;
    return [{
      curve, met: meets(bound, metrics[bound.metric]),
      sense: flip === (bound.sense === '>=') ? '<=' : '>=',
      level: flip ? -bound.bound : bound.bound,
    }];
    // What is missed lies on top where bounds are equal.
  }).sort((one, other) => Number(other.met) - Number(one.met));
}

/** A bound at the centre frequency: a bar, with a shade on the side that it forbids. */
function barOf(bound, centre, width, [low, high], colours) {
  const colour = bound.met ? colours.met : colours.missed;
  const depth = (high - low) * 0.045;
  const [x0, x1] = [centre - width / 2, centre + width / 2];
  const other = bound.sense === '>=' ? bound.level - depth : bound.level + depth;
  return [
    { type: 'rect', x0, x1, y0: bound.level, y1: other, fillcolor: colour, opacity: 0.28, line: { width: 0 }, layer: 'above' },
    { type: 'line', x0, x1, y0: bound.level, y1: bound.level, line: { color: colour, width: 2.5 }, layer: 'above' },
  ];
}

/** Everything that is drawn of a measured design: a key, a title, what it says in words, traces and layout of each plot. */
export function figuresOf(measured, before, circuitClass) {
  const { curves, specification, metrics } = measured;
  const colours = theme();
  const names = Object.keys(curves);
  const figures = [];
  const scattering = names.filter(isScattering);
  const bounds = shownBounds(circuitClass, specification, metrics, curves);
  if (scattering.length) figures.push(scatteringFigure(scattering, curves, before, specification, bounds, colours));
  for (const name of names.filter((one) => !isScattering(one) && overFrequency(curves[one]))) {
    figures.push(frequencyFigure(name, curves, before, specification, bounds, circuitClass, colours));
  }
  const reflections = scattering.filter((name) => name[1] === name[2]);
  if (reflections.length) figures.push(smithFigure(reflections, curves, before, specification, colours));
  for (const name of names.filter((one) => !isScattering(one) && !overFrequency(curves[one]))) {
    figures.push(traceFigure(name, curves[name], before?.[name], colours));
  }
  return figures;
}

function vertical(centre, colours) {
  return { type: 'line', x0: centre, x1: centre, yref: 'paper', y0: 0, y1: 1, line: { color: colours.faint, width: 1, dash: 'dot' }, layer: 'below' };
}

function scatteringFigure(names, curves, before, specification, bounds, colours) {
  const order = ['s21', 's11', 's22', 's12'].filter((name) => names.includes(name));
  const centre = specification.frequency / 1e9;
  const own = bounds.filter((bound) => isScattering(bound.curve));
  const traces = [];
  let [low, high] = [0, 0];
  const words = [];
  for (const name of order) {
    const x = gigahertz(curves[name].x);
    const y = decibels(curves[name]);
    const shown = name !== 's12';
    if (before?.[name]) {
      traces.push({
        x: gigahertz(before[name].x), y: decibels(before[name]), name: `${named(name)} before`, mode: 'lines', showlegend: false,
        line: { color: colours.curve[name], width: 1.2, dash: 'dot' }, opacity: 0.65, hoverinfo: 'skip', visible: shown ? true : 'legendonly',
      });
    }
    traces.push({
      x, y, name: named(name), mode: 'lines', line: { color: colours.curve[name] ?? colours.trace, width: 2.2 },
      hovertemplate: '%{y:.2f} dB', visible: shown ? true : 'legendonly',
    });
    if (!shown) continue;
    const finite = y.filter((value) => value !== null);
    low = Math.min(low, ...finite);
    high = Math.max(high, ...finite);
    words.push(`${named(name)} ${near(x, y, centre).value?.toFixed(1)} dB`);
  }
  for (const bound of own) [low, high] = [Math.min(low, bound.level - 4), Math.max(high, bound.level + 2)];
  // Whole tens, so that the axis stands still while a value is moved a little.
  const range = [Math.max(LOWEST_DB, Math.floor(low / 10) * 10), Math.ceil((high + 1) / 10) * 10];
  const [first, last] = [curves[order[0]].x[0] / 1e9, curves[order[0]].x.at(-1) / 1e9];
  return {
    key: 'scattering', title: 'S-parameters', first: true,
    words: `S-parameters from ${first.toPrecision(3)} to ${last.toPrecision(3)} GHz; at ${centre.toPrecision(4)} GHz: ${words.join(', ')}`,
    traces,
    layout: layout(colours, {
      hovermode: 'x unified', legend: { orientation: 'h', x: 1, xanchor: 'right', y: 1.0, yanchor: 'bottom' },
      margin: { l: 60, r: 14, t: 30, b: 44 },
      xaxis: { title: { text: 'Frequency (GHz)' }, range: [first, last], hoverformat: '.2f', ticksuffix: '' },
      yaxis: { title: { text: 'dB' }, range, zeroline: true },
      shapes: [vertical(centre, colours), ...own.flatMap((bound) => barOf(bound, centre, (last - first) * 0.09, range, colours))],
    }),
  };
}

function frequencyFigure(name, curves, before, specification, bounds, circuitClass, colours) {
  const metric = circuitClass.metrics.find((one) => one.name === name);
  const unit = metric?.unit ?? '';
  const x = gigahertz(curves[name].x);
  const y = curves[name].values;
  const centre = specification.frequency / 1e9;
  const finite = y.filter((value) => value !== null).sort((a, b) => a - b);
  // Near the smallest: far out of band a noise figure rises without limit.
  const top = Math.max(finite[0] + 2, Math.min(finite.at(-1), 2 * finite[finite.length >> 1]));
  const own = bounds.filter((bound) => bound.curve === name);
  const range = [Math.min(0, Math.floor(finite[0])), Math.ceil(Math.max(top, ...own.map((bound) => bound.level)) * 1.05)];
  const title = name === 'nf_db' ? 'Noise figure' : named(name.replaceAll('_', ' '));
  return {
    key: name, title,
    words: `${title} over frequency; at ${centre.toPrecision(4)} GHz ${near(x, y, centre).value?.toFixed(2)} ${unit}`,
    traces: [
      ...(before?.[name] ? [{ x: gigahertz(before[name].x), y: before[name].values, mode: 'lines', hoverinfo: 'skip', opacity: 0.65, line: { color: colours.trace, width: 1.2, dash: 'dot' } }] : []),
      { x, y, mode: 'lines', name: title, line: { color: colours.trace, width: 2.2 }, hovertemplate: `%{y:.2f} ${unit}` },
    ],
    layout: layout(colours, {
      showlegend: false, hovermode: 'x unified',
      xaxis: { title: { text: 'Frequency (GHz)' }, range: [x[0], x.at(-1)], hoverformat: '.2f' },
      yaxis: { title: { text: unit }, range },
      shapes: [vertical(centre, colours), ...own.flatMap((bound) => barOf(bound, centre, (x.at(-1) - x[0]) * 0.09, range, colours))],
    }),
  };
}

/** Normalised impedance of a reflection, as Plotly's Smith chart takes it. */
function impedance(re, im) {
  const size = (1 - re) ** 2 + im ** 2;
  return [(1 - re ** 2 - im ** 2) / size, (2 * im) / size];
}

function smithFigure(names, curves, before, specification, colours) {
  const trace = (curve, name, more) => {
    const points = curve.re.map((re, index) => impedance(re, curve.im[index]));
    return { type: 'scattersmith', real: points.map(([r]) => r), imag: points.map(([, x]) => x), name: named(name), mode: 'lines', ...more };
  };
  const traces = [];
  const words = [];
  for (const name of names) {
    const colour = colours.curve[name];
    if (before?.[name]) {
      traces.push(trace(before[name], name, { showlegend: false, hoverinfo: 'skip', opacity: 0.65, line: { color: colour, width: 1.2, dash: 'dot' } }));
    }
    const { x, re, im } = curves[name];
    const labels = x.map((value) => `${(value / 1e9).toFixed(2)} GHz`);
    traces.push(trace(curves[name], name, { text: labels, line: { color: colour, width: 2.2 }, hovertemplate: '%{text}<br>z = %{real:.3f} %{imag:+.3f}j' }));
    const { index } = near(x, x, specification.frequency);
    const [r, i] = impedance(re[index], im[index]);
    traces.push({
      type: 'scattersmith', real: [r], imag: [i], mode: 'markers', name: `${named(name)} at ${labels[index]}`, showlegend: false,
      marker: { color: colour, size: 10, line: { color: colours.panel, width: 1.5 } }, hovertemplate: `${labels[index]}<br>z = %{real:.3f} %{imag:+.3f}j`,
    });
    words.push(`${named(name)} z = ${r.toFixed(2)} ${i < 0 ? '−' : '+'} ${Math.abs(i).toFixed(2)}j`);
  }
  const ticks = { gridcolor: colours.line, linecolor: colours.faint, tickfont: { size: 10, color: colours.faint } };
  return {
    key: 'smith', title: 'Smith chart', square: true,
    words: `Smith chart of ${names.map(named).join(' and ')}; at the centre frequency, normalised: ${words.join(', ')}`,
    traces,
    layout: layout(colours, {
      legend: { orientation: 'h', x: 0, y: 1.02, yanchor: 'bottom' }, margin: { l: 24, r: 24, t: 34, b: 24 },
      smith: { bgcolor: 'rgba(0,0,0,0)', realaxis: ticks, imaginaryaxis: ticks },
    }),
  };
}

function traceFigure(name, curve, before, colours) {
  const inGigahertz = (values, label) =>
    (label.endsWith('(Hz)') && Math.min(...values.filter((value) => value !== null)) >= 1e8 ? [gigahertz(values), label.replace('(Hz)', '(GHz)')] : [values, label]);
  const [x, xLabel] = curve.log_x ? [curve.x, curve.x_label] : inGigahertz(curve.x, curve.x_label);
  const [y, yLabel] = inGigahertz(curve.values, curve.y_label);
  const line = { color: colours.trace, width: 2.2 };
  return {
    key: name, title: named(curve.y_label.replace(/ \(.*\)$/, '')), words: `${named(yLabel)} over ${xLabel}`,
    traces: [
      ...(before ? [{ x: inGigahertz(before.x, curve.log_x ? '' : curve.x_label)[0], y: inGigahertz(before.values, curve.y_label)[0], mode: 'lines', hoverinfo: 'skip', opacity: 0.65, line: { ...line, width: 1.2, dash: 'dot' } }] : []),
      { x, y, mode: 'lines', line, hovertemplate: '%{x:.4g}: %{y:.4g}<extra></extra>' },
    ],
    layout: layout(colours, {
      showlegend: false,
      xaxis: { title: { text: named(xLabel) }, ...(curve.log_x ? { type: 'log', exponentformat: 'SI' } : {}) },
      yaxis: { title: { text: named(yLabel) } },
    }),
  };
}

/** Keep a plot as wide as its place: Plotly itself looks at the window only. */
export function fit(Plotly, plot) {
  new ResizeObserver(() => {
    if (plot.offsetWidth && plot.querySelector('.main-svg')) Plotly.Plots.resize(plot);
  }).observe(plot);
}

/** Draw figures into a place, keeping the plots that are there already. */
export async function draw(place, figures) {
  const Plotly = await plotly();
  const old = new Map([...place.children].map((child) => [child.dataset.key, child]));
  const kept = figures.map((figure) => {
    let element = old.get(figure.key);
    if (!element) {
      const plot = make('div', { class: 'plot', role: 'img' });
      element = make('figure', { 'data-key': figure.key, class: figure.square ? 'square' : '' }, make('figcaption', {}, figure.title), plot);
      fit(Plotly, plot);
    }
    old.delete(figure.key);
    return element;
  });
  for (const gone of old.values()) {
    Plotly.purge(gone.querySelector('.plot'));
    gone.remove();
  }
  kept.forEach((element, index) => {
    if (place.children[index] !== element) place.insertBefore(element, place.children[index] ?? null);
  });
  await Promise.all(figures.map((figure, index) => {
    const plot = kept[index].querySelector('.plot');
    plot.setAttribute('aria-label', figure.words);
    return Plotly.react(plot, figure.traces, figure.layout, CONFIG);
  }));
}
