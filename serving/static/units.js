// Numbers as an engineer writes and reads them; the same rules as genrf/report/values.py.

const PREFIXES = { T: 1e12, G: 1e9, M: 1e6, k: 1e3, '': 1, m: 1e-3, µ: 1e-6, n: 1e-9, p: 1e-12, f: 1e-15, a: 1e-18 };
const SYMBOLS = { Ohm: 'Ω', C: '°C' };
const PLAIN_UNITS = ['dB', 'dBm', '%', 'dBc/Hz'];
const SUFFIX = /_(db|dbm|dbc|dbc_hz|hz|hz_per_v|w|v|percent)$/;
const ABBREVIATIONS = ['nf', 'pae', 'lo', 'rf', 'if', 'ssb', 'dsb', 'fom'];
const GREEK = { mu: 'µ' };

export const symbol = (unit) => SYMBOLS[unit] ?? unit;

/** A quantity with an SI prefix and that many significant digits: 302.9 pH. */
export function quantityText(value, unit, digits = 3) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(Number(value.toPrecision(digits)));
  const [prefix, scale] = Object.entries(PREFIXES).find(([, scale]) => size >= scale) ?? ['', 1];
  return `${Number((value / scale).toPrecision(digits))} ${prefix}${symbol(unit)}`.trim();
}

/** A number from text such as "310 pH", "310p" or "3.1e-10"; NaN of what is none. */
export function parseQuantity(text, unit) {
  const found = /^[\s×]*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$/.exec(text);
  if (!found) return NaN;
  let rest = found[2];
  for (const name of [unit, symbol(unit), `${unit}s`]) {
    if (name && rest.toLowerCase().endsWith(name.toLowerCase())) {
      rest = rest.slice(0, rest.length - name.length).trim();
      break;
    }
  }
  const scale = PREFIXES[rest.replace(/[uμ]/, 'µ').replace('K', 'k')];
  return scale === undefined ? NaN : Number((Number(found[1]) * scale).toPrecision(12));
}

/** A metric's value: two decimals of decibels, three of pure numbers, an SI prefix for the rest. */
export function metricText(metric, value, withUnit = true) {
  if (value === undefined || value === null) return '–';
  if (!metric.unit) return value.toFixed(3);
  if (PLAIN_UNITS.includes(metric.unit)) return value.toFixed(2) + (withUnit ? ` ${metric.unit}` : '');
  return quantityText(value, metric.unit);
}

/** A metric's name for people: nf_db is NF, bandwidth_hz is Bandwidth. */
export function metricLabel(metric) {
  const words = metric.name.replace(SUFFIX, '').split('_')
    .map((word) => GREEK[word] ?? (ABBREVIATIONS.includes(word) || /\d/.test(word) ? word.toUpperCase() : word));
  const label = words.join(' ');
  return label[0] === GREEK.mu ? label : label[0].toUpperCase() + label.slice(1);
}

export const metricTitle = (metric) => metricLabel(metric) + (metric.unit ? ` (${metric.unit})` : '');

export const sign = (sense) => (sense === '>=' ? '≥' : '≤');

/** The bounds of a specification as a list: metric, sense, bound. */
export function boundsOf(specification) {
  return Object.entries(specification.constraints).flatMap(([metric, given]) => [
    ...(given.min !== undefined ? [{ metric, sense: '>=', bound: given.min }] : []),
    ...(given.max !== undefined ? [{ metric, sense: '<=', bound: given.max }] : []),
  ]);
}

export function meets(bound, value) {
  return value !== undefined && (bound.sense === '>=' ? value >= bound.bound : value <= bound.bound);
}
