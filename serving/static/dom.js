// Elements of the page. What comes from the server becomes text, never markup.

export const find = (id) => document.getElementById(id);

/** An element with attributes and children; a string becomes text, a function a listener. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false && child !== ''));
  return element;
}

export function show(element, shown = true) {
  element.hidden = !shown;
}

/** Text of an alert, which is hidden without one. */
export function alertWith(element, text) {
  element.textContent = text ?? '';
  show(element, Boolean(text));
}

/** Say something to those who listen instead of look; the last thing said counts. */
export function say(text) {
  find('status').textContent = text;
}

export const narrow = () => matchMedia('(max-width: 859px)').matches;
