// The table of designs against the bounds: a row a design, a column a metric, the same columns as in the terminal.

import { make } from './dom.js';
import { boundsOf, meets, metricLabel, metricText, sign } from './units.js';

/** Metrics worth a column: those that describe the class, what is bounded, then what only some were measured for. */
export function columnsOf(circuitClass, specification, designs) {
  const bounded = boundsOf(specification).map((bound) => bound.metric);
  const required = circuitClass.requirements.map((one) => one.metric);
  const signedOff = circuitClass.metrics
    .filter((metric) => metric.signoff && designs.some((design) => metric.name in design.metrics)).map((metric) => metric.name);
  const names = new Set([...circuitClass.specification_metrics, ...bounded, ...required, ...signedOff]);
  return [...names].map((name) => circuitClass.metrics.find((metric) => metric.name === name));
}

/** Whether bounds are met, for eyes with and without colour, and for ears. */
export function judgement(bounds, value) {
  if (!bounds.length) return { name: '', mark: '', word: '' };
  if (value === undefined) return { name: 'missed', mark: '', word: 'not measured' };
  const met = bounds.every((bound) => meets(bound, value));
  return met ? { name: 'met', mark: '✓', word: 'met' } : { name: 'missed', mark: '✗', word: 'missed' };
}

export const boundText = (metric, bounds, withUnit) =>
  bounds.map((bound) => `${sign(bound.sense)} ${metricText(metric, bound.bound, withUnit)}`).join(', ') || '–';

/** The smallest margin; without any bound there is none. */
export const marginText = (design) => design.margin?.toFixed(3) ?? '–';

/** Fill the table; `chosen` is the place of the design that is shown below, `choose` is called with another. */
export function showDesigns(table, circuitClass, specification, designs, { chosen = null, choose = null } = {}) {
  const columns = columnsOf(circuitClass, specification, designs);
  const bounds = boundsOf(specification);
  const own = (metric) => bounds.filter((bound) => bound.metric === metric.name);
  const plain = (metric) => ['dB', 'dBm', '%', 'dBc/Hz'].includes(metric.unit);
  const head = make('thead', {},
    make('tr', {},
      make('th', { scope: 'col' }, make('span', { class: 'heard' }, 'Design')),
      columns.map((metric) => make('th', { scope: 'col', title: metric.description }, metricLabel(metric),
        make('small', {}, plain(metric) ? metric.unit : ''))),
      make('th', { scope: 'col', title: 'Smallest margin over all bounds: 1 is 10 dB, 10 % or a decade' }, 'Margin'),
      make('th', { scope: 'col' }, 'Verdict'),
      make('th', { scope: 'col', title: 'On the front of the metrics that the search traded' }, 'Pareto')),
    make('tr', { class: 'bounds-row' },
      make('th', { scope: 'row' }, 'bound'),
      columns.map((metric) => make('td', {}, boundText(metric, own(metric), !plain(metric)))),
      make('td'), make('td'), make('td')));
  const rows = designs.map((design, index) => {
    const missed = bounds.filter((bound) => !meets(bound, design.metrics[bound.metric])).length;
    const name = design.number ?? index + 1;
    const label = choose
      ? make('button', { type: 'button', 'aria-pressed': String(index === chosen), 'aria-label': `Show design ${name}` }, String(name))
      : String(name);
    const row = make('tr', { class: index === chosen ? 'chosen' : '' },
      make('th', { scope: 'row' }, label),
      columns.map((metric) => {
        const { name: verdict, mark, word } = judgement(own(metric), design.metrics[metric.name]);
        return make('td', { class: verdict },
          mark && make('span', { class: 'mark', 'aria-hidden': 'true' }, mark),
          metricText(metric, design.metrics[metric.name], !plain(metric)),
          word && make('span', { class: 'heard' }, ` ${word}`));
      }),
      make('td', {}, marginText(design)),
      make('td', { class: missed ? 'missed' : 'met' }, missed ? `${missed} missed` : 'met'),
      make('td', {}, design.pareto ? make('span', { role: 'img', 'aria-label': 'on the front' }, '●') : ''));
    if (choose) row.addEventListener('click', () => choose(index));
    return row;
  });
  const focused = table.contains(document.activeElement);
  table.replaceChildren(head, make('tbody', {}, rows));
  if (focused) table.querySelector('[aria-pressed="true"]')?.focus();
}
