// A design on the bench: its values on sliders, measured again as they move. One simulation at a time, the latest values win.

import { file, simulate } from './api.js';
import { boundText, judgement } from './candidates.js';
import { alertWith, find, make, show } from './dom.js';
import { boundsOf, metricLabel, metricText, parseQuantity, quantityText } from './units.js';

const STEPS = 400;
/** How far a slider goes from the designed value: a factor, or a part of a volt. */
const FACTOR = 3;
const AROUND = 0.3;

const TITLES = { resistor: 'resistor', inductor: 'inductor', capacitor: 'capacitor', hbt: 'transistor', bias_voltage: 'bias', diode: 'diode', varactor: 'varactor' };

/** How a slider's place and a value belong together, about the designed value. */
function scaleOf({ value: designed, low, high, scale, step, allowed }) {
  if (allowed) {
    const values = [...new Set([...allowed, designed])].sort((a, b) => a - b);
    const nearest = (value) => values.reduce((best, one, index) => (Math.abs(one - value) < Math.abs(values[best] - value) ? index : best), 0);
    return { min: 0, max: values.length - 1, at: nearest, value: (place) => values[place], snap: (value) => values[nearest(value)] };
  }
  const [least, most] = [Math.min(low, designed), Math.max(high, designed)];
  const within = (value) => Math.min(most, Math.max(least, value));
  if (scale === 'linear') {
    const snap = (value) => Number((Math.round(within(value) / step) * step).toPrecision(6));
    return {
      min: Math.round((Math.max(least, designed - AROUND) - designed) / step), max: Math.round((Math.min(most, designed + AROUND) - designed) / step),
      at: (value) => Math.round((value - designed) / step), value: (place) => snap(designed + place * step), snap,
    };
  }
  // Four digits, as the process takes them.
  const snap = (value) => Number(within(value).toPrecision(4));
  const place = (value) => Math.round((Math.log(value / designed) / Math.log(FACTOR)) * (STEPS / 2));
  return {
    min: Math.max(-STEPS / 2, place(least)), max: Math.min(STEPS / 2, place(most)), at: place,
    value: (at) => (at === 0 ? designed : snap(designed * FACTOR ** (at / (STEPS / 2)))), snap,
  };
}

const text = ({ unit, allowed }, value) => (allowed ? `×${value}` : quantityText(value, unit, 4));

export class Tuning {
  /**
   * @param heard called after each simulation with what was measured, and whether values differ from the design's
   * @param failed called if the values do not simulate
   * @param settled called once a slider is let go
   */
  constructor(heard, failed, settled) {
    this.heard = heard;
    this.failed = failed;
    this.settled = settled;
    this.opened = 0;
    find('reset').addEventListener('click', () => this.reset());
  }

  /** Put a design on the bench, with values that were changed before if there are any. */
  async open(circuitClass, design) {
    this.opened += 1;
    this.running = false;
    Object.assign(this, { circuitClass, design, changed: new Map(), before: null, measured: null, rows: new Map() });
    this.allow();
    await this.run();
  }

  /** The design with the values that it has now; whoever reads its files learns what was changed by hand. */
  current() {
    const { links, margins, curves, values, number, ...design } = this.design;
    const devices = design.circuit.devices.map((device) =>
      (this.changed.has(device.designator) ? { ...device, [this.keys.get(device.designator)]: this.changed.get(device.designator) } : device));
    if (!this.changed.size) return design;
    const by = [...this.changed.keys()].join(', ');
    return { ...design, circuit: { ...design.circuit, devices }, pareto: false, provenance: { ...design.provenance, changed: `by hand: ${by}` } };
  }

  file(what) {
    return file(this.current(), what);
  }

  get isChanged() {
    return this.changed.size > 0;
  }

  /** Measure the latest values, once what is being measured is done. */
  async run() {
    this.wanted = true;
    if (this.running) return;
    this.running = true;
    const opened = this.opened;
    while (this.wanted && opened === this.opened) {
      this.wanted = false;
      const late = setTimeout(() => show(find('busy')), 250);
      try {
        const measured = await simulate(this.current());
        if (opened !== this.opened) return;
        this.take(measured);
        alertWith(find('tuning-error'), null);
        document.body.classList.remove('stale');
      } catch (error) {
        if (opened !== this.opened) return;
        // What is shown is of the values before.
        document.body.classList.add('stale');
        alertWith(find('tuning-error'), error.message.replace(/^design: /, ''));
        this.failed();
      } finally {
        clearTimeout(late);
        show(find('busy'), false);
      }
    }
    this.running = false;
  }

  take(measured) {
    this.measured = measured;
    if (this.before === null) {
      this.before = measured;
      this.keys = new Map(measured.values.map((one) => [one.designator, one.name]));
      this.build(measured.values);
    }
    this.showFigures();
    this.heard(measured, this.isChanged);
  }

  showFigures() {
    const { metrics, specification } = this.measured;
    const bounds = boundsOf(specification);
    const bounded = new Set(bounds.map((bound) => bound.metric));
    const measured = this.circuitClass.metrics.filter((metric) => bounded.has(metric.name) || metric.name in metrics);
    const order = [...measured.filter((metric) => bounded.has(metric.name)), ...measured.filter((metric) => !bounded.has(metric.name))];
    find('figures').replaceChildren(
      make('thead', {}, make('tr', {}, ['Metric', 'Bound', 'Now', ...(this.isChanged ? ['Designed'] : [])].map((name) => make('th', { scope: 'col' }, name)))),
      make('tbody', {}, order.map((metric) => {
        const own = bounds.filter((bound) => bound.metric === metric.name);
        const { name, mark, word } = judgement(own, metrics[metric.name]);
        return make('tr', {},
          make('th', { scope: 'row', title: metric.description }, metricLabel(metric)),
          make('td', {}, boundText(metric, own, false)),
          make('td', { class: name, 'data-metric': metric.name }, mark && make('span', { class: 'mark', 'aria-hidden': 'true' }, mark),
            metricText(metric, metrics[metric.name]), word && make('span', { class: 'heard' }, ` ${word}`)),
          this.isChanged && make('td', { class: 'was' }, metricText(metric, this.before.metrics[metric.name], false)));
      })));
  }

  build(values) {
    this.values = new Map(values.map((one) => [one.designator, one]));
    find('values').replaceChildren(...values.map((one) => this.row(one)));
  }

  row(one) {
    const { designator } = one;
    const scale = scaleOf(one);
    const label = `${designator}, ${TITLES[one.kind] ?? one.kind}`;
    const slider = make('input', { type: 'range', min: scale.min, max: scale.max, step: 1, 'aria-label': label, 'data-designator': designator });
    const typed = make('input', { class: 'typed', autocomplete: 'off', 'aria-label': `Value of ${label}`, 'data-designator': designator });
    const back = make('button', { type: 'button', class: 'icon', 'aria-label': `Reset ${designator}`, title: 'Reset' }, '↺');
    const wrong = make('span', { class: 'wrong', role: 'alert' });
    const row = make('li', {}, make('span', { class: 'designator' }, designator), slider, typed, back, wrong);
    const write = (value) => {
      slider.value = scale.at(value);
      slider.setAttribute('aria-valuetext', text(one, value));
      typed.value = text(one, value);
      typed.removeAttribute('aria-invalid');
      wrong.textContent = '';
      const moved = value !== one.value;
      row.classList.toggle('moved', moved);
      back.disabled = !moved;
    };
    const set = (value) => {
      if (value === one.value) this.changed.delete(designator);
      else this.changed.set(designator, value);
      write(value);
      this.allow();
      this.run();
    };
    slider.addEventListener('input', () => set(scale.value(Number(slider.value))));
    slider.addEventListener('change', () => this.settled());
    typed.addEventListener('change', () => {
      const value = parseQuantity(typed.value, one.unit);
      if (Number.isFinite(value) && scale.snap(value) >= Math.min(one.low, one.value)) {
        set(scale.snap(value));
        this.settled();
      } else {
        typed.setAttribute('aria-invalid', 'true');
        wrong.textContent = `Expected a value from ${text(one, one.low)} to ${text(one, one.high)}.`;
      }
    });
    back.addEventListener('click', () => {
      set(one.value);
      slider.focus();
      this.settled();
    });
    write(one.value);
    this.rows.set(designator, write);
    return row;
  }

  allow() {
    find('reset').disabled = !this.isChanged;
  }

  reset() {
    this.changed.clear();
    for (const [designator, write] of this.rows) write(this.values.get(designator).value);
    this.allow();
    this.run();
    this.settled();
    find('values').querySelector('input')?.focus();
  }
}
