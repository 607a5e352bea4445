// What happens on the page: a search is asked for and watched, an answer is shown, a design is put on the bench.

import { Refused, cancel, events, get, submit } from './api.js';
import { marginText, showDesigns } from './candidates.js';
import { alertWith, find, make, narrow, say, show } from './dom.js';
import { Form } from './form.js';
import { draw, figuresOf, plotly } from './plots.js';
import { Trade } from './trade.js';
import { Tuning } from './tuning.js';
import { boundsOf, meets, metricLabel } from './units.js';

const FILES = {
  'netlist.spice': 'Netlist (SPICE)', touchstone: 'Touchstone', 'report.html': 'Report (HTML)', 'schematic.svg': 'Schematic (SVG)',
  'performance.svg': 'Curves (SVG)', 'design.json': 'Design (JSON)',
};
const MOST_CANDIDATES = 12;

function showDesign(shown) {
  document.querySelectorAll('.of-design').forEach((part) => show(part, shown));
}

class Page {
  constructor(form) {
    this.form = form;
    this.job = null;
    this.answer = null;
    this.chosen = 0;
    this.trade = new Trade((index) => this.choose(index));
    this.tuning = new Tuning(
      (measured, changed) => this.measured(measured, changed), () => this.unmeasured(), () => this.drawSchematic());
    form.element.addEventListener('submit', (event) => {
      event.preventDefault();
      this.search();
    });
    find('cancel').addEventListener('click', () => this.cancel());
    addEventListener('hashchange', () => this.follow());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw());
    for (const [what, title] of Object.entries(FILES)) {
      find('download-buttons').append(make('button', { type: 'button', 'data-file': what, click: () => this.download(what) }, title));
    }
  }

  /** Show what the address names: an answer, or a job that is still worked on. */
  async follow() {
    const named = new URLSearchParams(location.hash.slice(1));
    const number = Math.max(0, Number(named.get('design') ?? 1) - 1);
    try {
      if (named.has('answer') && named.get('answer') !== this.answer?.id) {
        await this.showAnswer(await get(`v1/designs/${encodeURIComponent(named.get('answer'))}`), number);
        this.form.fillRequest(this.answer.request);
      } else if (named.has('job') && named.get('job') !== this.job?.id) {
        const job = await get(`v1/jobs/${encodeURIComponent(named.get('job'))}`);
        this.form.fillRequest(job.request);
        await this.watch(job);
      } else if (named.has('answer') && number !== this.chosen) {
        await this.choose(number);
      }
    } catch (error) {
      this.failed(error);
    }
  }

  async search() {
    const request = this.form.request();
    if (!request) return;
    this.form.clearAll();
    find('submit').disabled = true;
    try {
      await this.watch(await submit(request));
    } catch (error) {
      this.working(false);
      if (error instanceof Refused && error.status === 400) this.form.refuse(error);
      else this.failed(error);
    }
  }

  async cancel() {
    if (!this.job) return;
    try {
      await cancel(this.job.id);
    } catch (error) {
      this.failed(error);
    }
  }

  working(is) {
    find('submit').disabled = is;
    show(find('cancel'), is);
    show(find('progress'), is);
    if (!is && document.activeElement === document.body) find('submit').focus();
  }

  /** Watch a job to its end: candidates fill the table, the best on top. */
  async watch(job) {
    this.job = job;
    this.answer = null;
    history.replaceState(null, '', `#job=${job.id}`);
    const { specification } = job.request;
    const circuitClass = this.form.classes.get(specification.class);
    const candidates = [];
    this.working(true);
    showDesign(false);
    for (const id of ['trade', 'verdict', 'designs-region']) show(find(id), false);
    find('run-title').textContent = `Searching: ${specification.name}`;
    find('run-text').textContent = 'Waiting for its turn.';
    find('progress').removeAttribute('value');
    say('The search has begun.');
    if (narrow()) find('results').scrollIntoView();
    let met = false;
    for await (const said of events(job.id)) {
      if (this.job?.id !== job.id) return;
      if (said.event === 'progress') {
        find('progress').max = said.of;
        find('progress').value = said.spent;
        if (said.design) candidates.push({ ...said.design, number: said.spent });
        candidates.sort((a, b) => (b.margin ?? 0) - (a.margin ?? 0));
        this.showCandidates(circuitClass, specification, candidates, said);
        if (!met && candidates[0]?.met) {
          met = true;
          say(`The specification is met after ${said.spent} simulations.`);
        }
      } else if (said.event === 'done') {
        this.working(false);
        await this.showAnswer(await get(`v1/designs/${said.answer}`));
      } else if (said.event === 'failed') {
        this.working(false);
        this.failed(new Error(said.error));
      } else if (said.event === 'cancelled') {
        this.working(false);
        this.job = null;
        history.replaceState(null, '', location.pathname);
        find('run-title').textContent = 'Cancelled';
        find('run-text').textContent = candidates.length ? 'What was found until then is shown; it is not kept.' : 'Nothing was found until then.';
        say('The search is cancelled.');
      }
    }
  }

  showCandidates(circuitClass, specification, candidates, said) {
    const best = candidates[0];
    find('run-text').textContent = `${said.spent} of ${said.of} simulations`
      + (best ? `, best margin ${marginText(best)}` : ', none has worked yet');
    this.badge(find('verdict'), best?.met, best ? (best.met ? 'met' : 'not met yet') : null);
    if (!best) return;
    const shown = candidates.slice(0, MOST_CANDIDATES);
    show(find('designs-region'));
    showDesigns(find('designs'), circuitClass, specification, shown);
    show(find('trade'));
    this.trade.show(circuitClass, specification, candidates, candidates.indexOf(best)).catch(() => {});
  }

  badge(element, met, text) {
    show(element, Boolean(text));
    element.className = `badge ${met ? 'met' : 'missed'}`;
    element.textContent = text ?? '';
  }

  async showAnswer(answer, number = 0) {
    this.answer = answer;
    this.job = null;
    this.circuitClass = this.form.classes.get(answer.request.specification.class);
    const { designs, first_met: first, failed } = answer;
    const failures = Object.values(failed).reduce((sum, one) => sum + one, 0);
    find('run-title').textContent = answer.request.specification.name;
    document.title = `${answer.request.specification.name} – GenRF`;
    this.badge(find('verdict'), first !== null, designs.length ? (first !== null ? 'met' : 'not met') : 'nothing found');
    const reasons = Object.entries(failed).map(([cause, count]) => `${count} ${cause.replaceAll('_', ' ')}`).join(', ');
    const text = `${answer.simulated} simulated`
      + (answer.explored ? ` after ${answer.explored.toLocaleString('en')} explored` : '')
      + (first !== null ? `, met after ${first}` : '')
      + (failures ? `; failed: ${reasons}` : '')
      + `; ${answer.seconds.toFixed(1)} s, seed ${answer.request.seed}.`;
    find('run-text').textContent = text;
    for (const id of ['designs-region', 'trade']) show(find(id), designs.length > 0);
    showDesign(designs.length > 0);
    if (!designs.length) {
      history.replaceState(null, '', `#answer=${answer.id}`);
      say(`No circuit could be simulated. ${text}`);
      return;
    }
    await this.choose(Math.min(number, designs.length - 1));
    say(first !== null
      ? `Done: the specification is met; ${designs.length} designs are shown, the best first.`
      : `Done: no design meets the specification; the closest ${designs.length} are shown.`);
    if (narrow()) find('results').scrollIntoView();
  }

  /** Put one of the answered designs on the bench. */
  async choose(index) {
    const designs = this.answer?.designs;
    if (!designs?.[index]) return;
    this.chosen = index;
    const { specification } = this.answer.request;
    history.replaceState(null, '', `#answer=${this.answer.id}${index ? `&design=${index + 1}` : ''}`);
    showDesigns(find('designs'), this.circuitClass, specification, designs, { chosen: index, choose: (other) => this.choose(other) });
    find('curves-title').textContent = `Design ${index + 1}`;
    find('schematic').removeAttribute('src');
    const opening = this.tuning.open(this.circuitClass, designs[index]);
    this.drawSchematic();
    await opening;
  }

  /** Show what was measured of the design on the bench. */
  measured(measured, changed) {
    const was = this.wasMet;
    this.wasMet = measured.met;
    const missed = boundsOf(measured.specification).filter((bound) => !meets(bound, measured.metrics[bound.metric]))
      .map((bound) => metricLabel(this.circuitClass.metrics.find((metric) => metric.name === bound.metric)));
    this.badge(find('design-verdict'), measured.met, measured.met ? 'met' : `missed: ${[...new Set(missed)].join(', ')}`);
    find('curves-title').textContent = `Design ${this.chosen + 1}${changed ? ', tuned' : ''}`;
    if (changed && was !== measured.met) say(measured.met ? 'The tuned design meets the specification.' : 'The tuned design misses the specification.');
    find('downloads-text').textContent = changed
      ? `Design ${this.chosen + 1} with the values as they are now.` : `Design ${this.chosen + 1} as it was found.`;
    find('download-buttons').querySelector('[data-file="touchstone"]').disabled = !Object.keys(measured.curves).some((name) => /^s\d\d$/.test(name));
    this.redraw();
  }

  /** Say that the values as they are do not simulate; curves and figures stay those of before, and look it. */
  unmeasured() {
    this.wasMet = null;
    find('curves-title').textContent = `Design ${this.chosen + 1}${this.tuning.isChanged ? ', tuned' : ''}`;
    this.badge(find('design-verdict'), false, 'does not simulate');
  }

  /** Draw the latest measurement; the next frame draws what came meanwhile. */
  redraw() {
    if (this.drawing || !this.tuning.measured) return;
    this.drawing = true;
    requestAnimationFrame(async () => {
      try {
        const { measured, before, isChanged } = this.tuning;
        const figures = figuresOf(measured, isChanged ? before.curves : null, this.circuitClass);
        await draw(find('first-curve'), figures.slice(0, 1));
        await draw(find('further-curves'), figures.slice(1));
        show(find('further-curves').parentElement, figures.length > 1);
        await this.trade.show(this.circuitClass, measured.specification, this.answer.designs, this.chosen, isChanged ? measured : null);
        this.drawing = false;
        if (measured !== this.tuning.measured) this.redraw();
      } catch (error) {
        this.drawing = false;
        this.failed(error);
      }
    });
  }

  async drawSchematic() {
    const image = find('schematic');
    const { opened } = this.tuning;
    try {
      const { content } = await this.tuning.file('schematic.svg');
      if (opened !== this.tuning.opened) return;
      URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(content);
      const devices = this.tuning.design.circuit.devices.map((device) => device.designator);
      image.alt = `Schematic of design ${this.chosen + 1}, ${devices.length} devices: ${devices.join(', ')}`;
    } catch {
      // Values that do not simulate are told of beside the sliders; the schematic of before stays.
    }
  }

  async download(what) {
    alertWith(find('download-error'), null);
    try {
      const { content, name } = await this.tuning.file(what);
      const title = this.answer.request.specification.name.replace(/[^\w.-]+/g, '_');
      const link = make('a', { href: URL.createObjectURL(content), download: `${title}_${this.chosen + 1}${this.tuning.isChanged ? '_tuned' : ''}_${name}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } catch (error) {
      alertWith(find('download-error'), error.message);
    }
  }

  failed(error) {
    this.working(false);
    find('run-title').textContent = 'That did not work';
    find('run-text').textContent = error.message;
    show(find('verdict'), false);
    say(error.message);
  }
}

/** What the form needs to know; a server whose models are loading is asked again. */
async function known() {
  for (;;) {
    try {
      return await Promise.all([get('v1/classes'), get('v1/examples'), get('openapi.json')]);
    } catch (error) {
      if (error.status !== 503) throw error;
      find('run-text').textContent = 'The models are loading.';
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
  }
}

try {
  const idle = find('run-text').textContent;
  const [classes, examples, described] = await known();
  const { schema } = described.paths['/v1/jobs'].post.requestBody.content['application/json'];
  find('run-text').textContent = idle;
  const page = new Page(new Form(classes, examples, schema.properties));
  document.body.classList.add('ready');
  await page.follow();
  await plotly();
} catch (error) {
  find('run-title').textContent = 'That did not work';
  find('run-text').textContent = error.message;
}
