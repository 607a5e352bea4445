// The specification's form: it knows the metrics of each class, and shows what the server refuses at the field it names.

import { alertWith, find, make } from './dom.js';
import { metricLabel, metricTitle, quantityText, sign, symbol } from './units.js';

const CONDITIONS = ['name', 'frequency', 'supply', 'source_impedance', 'load_impedance', 'temperature', 'corner', 'tone_spacing'];
const CONDITION_UNITS = { frequency: 'Hz', supply: 'V', source_impedance: 'Ohm', load_impedance: 'Ohm', temperature: 'C', tone_spacing: 'Hz' };
const NUMBERS = ['calls', 'designs', 'refine', 'seed'];
/** Designs that the page asks for, so that there is a front to choose from; the server's own default is one. */
const DESIGNS = 12;

export class Form {
  /**
   * @param classes what /v1/classes says
   * @param examples what /v1/examples says
   * @param options schema of the request's other fields: default, minimum, maximum
   */
  constructor(classes, examples, options) {
    this.classes = new Map(classes.map((one) => [one.name, one]));
    this.examples = examples;
    this.element = find('form');
    this.rows = 0;
    find('class').replaceChildren(...classes.map((one) => make('option', { value: one.name }, one.title)));
    for (const name of NUMBERS) {
      const { minimum, maximum, default: value } = options[name];
      const input = this.at(name);
      input.value = name === 'designs' ? DESIGNS : value;
      input.title = `${minimum} to ${maximum.toLocaleString('en')}`;
    }
    find('class').addEventListener('change', () => this.choose());
    find('example').addEventListener('change', () => this.load(Number(find('example').value)));
    find('add-bound').addEventListener('click', () => this.addUnbound());
    // What a metric is stays below its row until another is looked at: a button must not move as it is pressed.
    find('bounds').addEventListener('focusin', ({ target }) => {
      for (const row of find('bounds').children) row.classList.toggle('described', row.contains(target));
    });
    this.element.addEventListener('input', (event) => this.clear(event.target));
    this.choose();
  }

  get circuitClass() {
    return this.classes.get(find('class').value);
  }

  at(path) {
    return this.element.querySelector(`[data-path="${CSS.escape(path)}"]`);
  }

  /** Offer the class's examples, and load the first. */
  choose() {
    const own = this.examples.map((one, index) => ({ ...one, index })).filter((one) => one.specification.class === find('class').value);
    find('example').replaceChildren(...own.map((one) => make('option', { value: one.index }, one.specification.name)));
    if (own.length) this.load(own[0].index);
    else this.fill({ class: find('class').value, constraints: {} });
  }

  load(index) {
    const { title, specification } = this.examples[index];
    this.fill(specification);
    find('example-title').textContent = title;
  }

  /** Write a specification into the form; numbers as quantities. */
  fill(specification) {
    this.clearAll();
    find('class').value = specification.class;
    find('example-title').textContent = '';
    for (const name of CONDITIONS) {
      const value = specification[name];
      this.at(name).value = typeof value === 'number' ? quantityText(value, CONDITION_UNITS[name], 12) : value ?? '';
    }
    find('bounds').replaceChildren();
    for (const [metric, given] of Object.entries(specification.constraints)) {
      for (const [side, sense] of [['min', '>='], ['max', '<=']]) {
        if (given[side] !== undefined) this.addBound(metric, sense, given[side]);
      }
    }
  }

  /** Write an answered request into the form. */
  fillRequest(request) {
    this.fill(request.specification);
    const same = this.examples.findIndex((one) => one.specification.name === request.specification.name);
    const options = this.examples.map((one, index) => ({ ...one, index })).filter((one) => one.specification.class === request.specification.class);
    find('example').replaceChildren(
      ...(same < 0 ? [make('option', { value: '' }, '–')] : []),
      ...options.map((one) => make('option', { value: one.index }, one.specification.name)),
    );
    find('example').value = same < 0 ? '' : same;
    for (const name of NUMBERS) this.at(name).value = request[name];
    find('all-calls').checked = request.all_calls;
  }

  addUnbound() {
    const taken = new Set([...this.element.querySelectorAll('.bound-metric')].map((select) => select.value));
    const { metrics, specification_metrics: first } = this.circuitClass;
    const free = [...first, ...metrics.map((metric) => metric.name)].find((name) => !taken.has(name)) ?? metrics[0].name;
    this.addBound(free).querySelector('.bound-metric').focus();
  }

  addBound(name, sense, value) {
    const { metrics } = this.circuitClass;
    const id = `bound-${(this.rows += 1)}`;
    const metric = make('select', { class: 'bound-metric', 'aria-label': 'Metric', 'aria-describedby': `${id}-what` },
      metrics.map((one) => make('option', { value: one.name, disabled: one.second, title: one.description },
        metricTitle(one) + (one.second ? ' – needs the second simulator' : one.signoff ? ' – slower' : ''))));
    const side = make('select', { class: 'bound-sense', 'aria-label': 'At least or at most' },
      make('option', { value: 'min', 'aria-label': 'at least' }, sign('>=')),
      make('option', { value: 'max', 'aria-label': 'at most' }, sign('<=')));
    const input = make('input', { class: 'bound-value', autocomplete: 'off', 'aria-describedby': `${id}-what` });
    const what = make('p', { class: 'hint what', id: `${id}-what` });
    const row = make('li', { class: 'bound' }, metric, side, input,
      make('button', { type: 'button', class: 'icon', 'aria-label': 'Remove this bound', title: 'Remove', click: () => this.remove(row) }, '×'), what);
    const known = (one) => metrics.find((other) => other.name === one);
    const describe = () => {
      const { description, unit } = known(metric.value);
      what.textContent = description;
      input.placeholder = symbol(unit);
      row.dataset.path = `constraints.${metric.value}`;
      input.dataset.path = `constraints.${metric.value}.${side.value}`;
      input.setAttribute('aria-label', `${metricLabel(known(metric.value))}, ${side.value === 'min' ? 'at least' : 'at most'}`);
    };
    metric.value = name;
    side.value = (sense ?? known(name).sense) === '>=' ? 'min' : 'max';
    input.value = typeof value === 'number' ? this.boundText(known(name), value) : value ?? '';
    metric.addEventListener('change', () => {
      side.value = known(metric.value).sense === '>=' ? 'min' : 'max';
      input.value = '';
      describe();
    });
    side.addEventListener('change', describe);
    describe();
    find('bounds').append(row);
    return row;
  }

  boundText({ unit, scale }, value) {
    return scale === 'log' || unit === 'Hz' ? quantityText(value, unit, 12) : String(value);
  }

  remove(row) {
    const next = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector('.bound-metric') ?? find('add-bound');
    row.remove();
    next.focus();
  }

  /** The request as it is written; what is wrong with it the server says. Nothing if a bound is there twice. */
  request() {
    const constraints = {};
    for (const row of find('bounds').children) {
      const input = row.querySelector('.bound-value');
      const [, metric, side] = input.dataset.path.split('.');
      const given = (constraints[metric] ??= {});
      if (side in given) {
        this.complain(input, 'is bounded twice; remove one of the two');
        return null;
      }
      given[side] = input.value.trim();
    }
    const written = CONDITIONS.map((name) => [name, this.at(name).value.trim()]).filter(([, value]) => value);
    const numbers = NUMBERS.map((name) => [name, this.at(name).value.trim()]).filter(([, value]) => value)
      .map(([name, value]) => [name, /^\d{1,15}$/.test(value) ? Number(value) : value]);
    return {
      specification: { class: find('class').value, ...Object.fromEntries(written), constraints },
      ...Object.fromEntries(numbers),
      all_calls: find('all-calls').checked,
    };
  }

  /** Show what the server refused, at the field that it names if there is one. */
  refuse(refused) {
    const path = refused.field ?? '';
    const row = () => [...find('bounds').children].find((one) => path === one.dataset.path)?.querySelector('.bound-value');
    const field = path && (this.at(path)?.matches('input, select') ? this.at(path) : row());
    if (field) this.complain(field, refused.what);
    else alertWith(find('form-error'), refused.message);
  }

  complain(field, text) {
    const id = `${field.dataset.path}-error`;
    const holder = field.closest('.field, .bound, .tick');
    holder.querySelector('.wrong')?.remove();
    holder.append(make('span', { class: 'wrong', id, role: 'alert' }, text));
    field.setAttribute('aria-invalid', 'true');
    field.setAttribute('aria-errormessage', id);
    const folded = field.closest('details');
    if (folded) folded.open = true;
    field.focus();
  }

  clear(field) {
    alertWith(find('form-error'), null);
    const holder = field.closest('.field, .bound, .tick');
    holder?.querySelector('.wrong')?.remove();
    field.removeAttribute('aria-invalid');
    field.removeAttribute('aria-errormessage');
  }

  clearAll() {
    alertWith(find('form-error'), null);
    this.element.querySelectorAll('.wrong').forEach((one) => one.remove());
    this.element.querySelectorAll('[aria-invalid]').forEach((one) => this.clear(one));
  }
}
