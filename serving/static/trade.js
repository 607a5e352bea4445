// The trade-off of the designs in two metrics: which are on the front, and where the bounds run.

import { find, make } from './dom.js';
import { CONFIG, fit, layout, plotly, theme } from './plots.js';
import { boundsOf, metricLabel, metricText, metricTitle } from './units.js';

const better = (metric, one, other) => (metric.sense === '>=' ? one > other : one < other);

/** Those that no other is at least as good as in both metrics, and better in one. */
export function front(designs, x, y) {
  const atLeast = (metric, one, other) => !better(metric, other.metrics[metric.name], one.metrics[metric.name]);
  const beats = (one, other) => atLeast(x, one, other) && atLeast(y, one, other)
    && (better(x, one.metrics[x.name], other.metrics[x.name]) || better(y, one.metrics[y.name], other.metrics[y.name]));
  return designs.filter((design) => !designs.some((other) => beats(other, design)));
}

export class Trade {
  /** @param choose called with the place of a design that was clicked */
  constructor(choose) {
    this.choose = choose;
    this.circuitClass = null;
    for (const id of ['trade-x', 'trade-y']) find(id).addEventListener('change', () => this.draw());
  }

  /** Show designs; those of another class begin with the metrics that designers of that class trade. */
  show(circuitClass, specification, designs, chosen, changed = null) {
    Object.assign(this, { specification, designs, chosen, changed });
    const known = circuitClass.metrics.filter((metric) => designs.some((design) => metric.name in design.metrics));
    const names = known.map((metric) => metric.name).join();
    if (this.names !== names || this.circuitClass !== circuitClass) {
      const before = this.circuitClass === circuitClass ? [find('trade-x').value, find('trade-y').value] : [];
      const traded = [...circuitClass.trade_off, ...circuitClass.specification_metrics, ...known.map((metric) => metric.name)]
        .filter((name, index, all) => known.some((metric) => metric.name === name) && all.indexOf(name) === index);
      const [y, x = y] = traded;
      [['trade-x', before[0] || x], ['trade-y', before[1] || y]].forEach(([id, chosenName]) => {
        find(id).replaceChildren(...known.map((metric) => make('option', { value: metric.name }, metricTitle(metric))));
        find(id).value = chosenName;
      });
      this.names = names;
      this.circuitClass = circuitClass;
    }
    return this.draw();
  }

  async draw() {
    if (!this.designs?.length) return;
    const metric = (id) => this.circuitClass.metrics.find((one) => one.name === find(id).value);
    const [x, y] = [metric('trade-x'), metric('trade-y')];
    const numbered = this.designs.map((design, index) => ({ ...design, index, number: design.number ?? index + 1 }))
      .filter((design) => x.name in design.metrics && y.name in design.metrics);
    const best = front(numbered, x, y).sort((a, b) => a.metrics[x.name] - b.metrics[x.name] || a.metrics[y.name] - b.metrics[y.name]);
    const colours = theme();
    const bounds = boundsOf(this.specification);
    const limits = (own, axis) => bounds.filter((bound) => bound.metric === own.name).map((bound) => ({
      type: 'line', line: { color: colours.faint, width: 1.5, dash: 'dash' }, layer: 'below',
      ...(axis === 'x' ? { x0: bound.bound, x1: bound.bound, yref: 'paper', y0: 0, y1: 1 } : { y0: bound.bound, y1: bound.bound, xref: 'paper', x0: 0, x1: 1 }),
    }));
    const points = (designs, more) => ({
      x: designs.map((design) => design.metrics[x.name]), y: designs.map((design) => design.metrics[y.name]),
      customdata: designs.map((design) => design.index), text: designs.map((design) => String(design.number)),
      hovertext: designs.map((design) => `design ${design.number}: ${metricText(x, design.metrics[x.name])}, ${metricText(y, design.metrics[y.name])}, ${design.met ? 'met' : 'missed'}`),
      hoverinfo: 'text', mode: 'markers+text', textposition: 'top center', textfont: { size: 11, color: colours.text }, cliponaxis: false, ...more,
    });
    const marker = (colour, shape) => ({ color: colour, size: 10, symbol: shape });
    const chosen = numbered.filter((design) => design.index === this.chosen);
    const axis = (own) => ({
      title: { text: metricTitle(own) },
      ...(['Hz', 'W', 'V'].includes(own.unit) ? { tickformat: '~s', ticksuffix: own.unit } : {}),
    });
    const Plotly = await plotly();
    await Plotly.react(find('trade-plot'), [
      { x: best.map((design) => design.metrics[x.name]), y: best.map((design) => design.metrics[y.name]), mode: 'lines', name: 'front', line: { color: colours.accent, width: 1.5 }, hoverinfo: 'skip' },
      points(numbered.filter((design) => design.met), { name: 'met', marker: marker(colours.met, 'circle') }),
      points(numbered.filter((design) => !design.met), { name: 'missed', marker: marker(colours.missed, 'x') }),
      points(chosen, { name: 'shown', mode: 'markers', marker: { size: 17, color: 'rgba(0,0,0,0)', line: { color: colours.accent, width: 2.5 } }, hoverinfo: 'skip' }),
      ...(this.changed ? [points([{ ...this.changed, index: this.chosen, number: 'tuned' }], { name: 'tuned', marker: marker(colours.accent, 'diamond') })] : []),
    ], layout(colours, {
      xaxis: axis(x), yaxis: axis(y), shapes: [...limits(x, 'x'), ...limits(y, 'y')], hovermode: 'closest',
      legend: { orientation: 'h', x: 1, xanchor: 'right', y: 1.0, yanchor: 'bottom' }, margin: { l: 66, r: 20, t: 30, b: 44 },
      uirevision: `${x.name} ${y.name} ${numbered.length}`,
    }), CONFIG);
    const plot = find('trade-plot');
    if (!plot.dataset.heard) {
      plot.dataset.heard = 'yes';
      fit(Plotly, plot);
      plot.on('plotly_click', ({ points: [point] }) => { if (point?.customdata !== undefined) this.choose(point.customdata); });
    }
    plot.setAttribute('role', 'img');
    plot.setAttribute('aria-label', `${metricLabel(y)} over ${metricLabel(x)} of ${numbered.length} designs`);
    find('trade-text').textContent = best.length
      ? `On the front: ${best.length === 1 ? 'design' : 'designs'} ${best.map((design) => design.number).join(', ')}. Dashed lines are bounds.`
      : '';
  }
}
