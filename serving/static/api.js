// The server's routes. A token, if the server wants one, is kept in the tab's session.

import { find, show } from './dom.js';

const BASE = new URL('..', document.baseURI);
const TOKEN = 'genrf-token';

/** What the server refused: its message, and the field that the message names. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
    const found = /^(?:specification: )?([a-z_]+(?:\.\w+)*): (.*)$/s.exec(message);
    this.field = found ? found[1] : null;
    this.what = found ? found[2] : message;
  }
}

async function request(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    let response;
    try {
      response = await fetch(new URL(path, BASE), { ...options, headers });
    } catch {
      throw new Refused(0, 'The server does not answer; is it still running?');
    }
    if (response.ok) return response;
    if (response.status === 401) {
      await askForToken(token !== null);
      continue;
    }
    throw await refusal(response);
  }
}

async function refusal(response) {
  let message = `The server answers with status ${response.status}.`;
  try {
    message = (await response.json()).error ?? message;
  } catch {
    // Not the server's own words, such as those of a proxy.
  }
  return new Refused(response.status, message);
}

let asking = null;

function askForToken(again) {
  asking ??= new Promise((resolve) => {
    const dialog = find('token');
    show(find('token-error'), again);
    dialog.addEventListener('close', () => {
      sessionStorage.setItem(TOKEN, find('token-input').value.trim());
      find('token-input').value = '';
      asking = null;
      resolve();
    }, { once: true });
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    dialog.showModal();
  });
  return asking;
}

export const get = async (path) => (await request(path)).json();

const send = (path, content, options = {}) =>
  request(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(content), ...options });

export const submit = async (content) => (await send('v1/jobs', content)).json();
export const cancel = async (job) => (await request(`v1/jobs/${job}`, { method: 'DELETE' })).json();
export const simulate = async (design) => (await send('v1/simulate', { design })).json();

/** A file of a design as it is given: its content, and its name. */
export async function file(design, what) {
  const response = await send(`v1/simulate/${what}`, { design });
  const name = /filename="([^"]+)"/.exec(response.headers.get('Content-Disposition') ?? '');
  return { content: await response.blob(), name: name ? name[1] : what };
}

/** What happens to a job, from now to its end. Server-sent events, read by fetch, as EventSource sends no token. */
export async function* events(job) {
  for (;;) {
    const ended = yield* oneStream(job);
    if (ended) return;
    // The line broke; the job goes on.
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

const LAST = ['done', 'failed', 'cancelled'];

async function* oneStream(job) {
  const response = await request(`v1/jobs/${job}/events`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let [text, last] = ['', false];
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch {
      return last;
    }
    if (part.done) return last;
    text += part.value;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block);
      if (!data) continue;
      const said = JSON.parse(data[1]);
      last ||= LAST.includes(said.event);
      yield said;
    }
  }
}
