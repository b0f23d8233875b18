// Copyright (c) 2026 accelmon.fleet contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What Grafana's server and its data source do: variables, queries, and answers as data frames.
import { FieldType, dateTime, toDataFrame } from '@grafana/data';

const UNITS = { s: 1, m: 60, h: 3600, d: 86400 };
const SCRAPE = 60;
const ALL = '$__all';

export function seconds(text) {
  const [, number, unit] = /^(\d+)([smhd])$/.exec(text) || [];
  if (!number) throw new Error(`not a duration: ${text}`);
  return number * UNITS[unit];
}

// The storages differ at the ends of a range that are no multiples of the step.
export function timeRange(board, now, step = 1) {
  const to = Math.floor(now / step) * step;
  return { from: to - Math.ceil(seconds(board.time.from.replace('now-', '')) / step) * step, to, step };
}

export function grafanaRange({ from, to }) {
  const ends = { from: dateTime(from * 1000), to: dateTime(to * 1000) };
  return { ...ends, raw: ends };
}

export class Source {
  constructor(address, board, now, report) {
    Object.assign(this, { address, board, now, report, values: {} });
  }

  async ask(path, parameters) {
    const response = await fetch(this.address + path, { method: 'POST', body: new URLSearchParams(parameters) });
    const answer = await response.json();
    if (answer.status !== 'success') throw new Error(`${answer.error}: ${parameters.query || parameters['match[]']}`);
    return answer.data;
  }

  // As the data source writes values into a matcher: escaped twice, once for the pattern and once for the quotes.
  fill(text, further = {}) {
    const escaped = (value) => String(value).replace(/[\\^$*+?.()|[\]{}/]/g, '\\\\$&');
    return text.replace(/\$(?:\{(\w+)(?::\w+)?\}|(\w+))/g, (whole, braced, bare) => {
      const name = braced || bare;
      if (name in further) return further[name];
      if (!(name in this.values)) {
        this.report(`unknown variable ${name} in ${text}`);
        return whole;
      }
      const { sent } = this.values[name];
      return Array.isArray(sent) ? (sent.length > 1 ? `(${sent.map(escaped).join('|')})` : escaped(sent[0])) : sent;
    });
  }

  async loadVariables(chosen) {
    const { from, to } = timeRange(this.board, this.now);
    for (const variable of this.board.templating.list) {
      if (variable.type === 'datasource') {
        this.values[variable.name] = { sent: 'preview', options: ['preview'], shown: 'preview' };
        continue;
      }
      const [, selector, label] = /^label_values\((.*), (\w+)\)$/s.exec(variable.query.query) || [];
      if (!label) throw new Error(`variable ${variable.name}: cannot read ${variable.query.query}`);
      const series = await this.ask('/api/v1/series', { 'match[]': this.fill(selector), start: from, end: to });
      const options = [...new Set(series.map((labels) => labels[label]).filter(Boolean))].sort();
      if (!options.length) this.report(`variable ${variable.name} has no values`);
      const everything = [].concat(variable.current?.value || []).includes(ALL);
      const one = options.includes(chosen[variable.name]) ? chosen[variable.name] : options[0];
      this.values[variable.name] = everything && !chosen[variable.name] ? { sent: variable.allValue ?? options, options, shown: 'All' }
        : { sent: [one], options: [one], shown: one };
    }
  }

  async frames(panel, width, scoped) {
    const span = timeRange(this.board, this.now);
    const step = Math.max(SCRAPE, Math.ceil((span.to - span.from) / Math.max(100, width) / SCRAPE) * SCRAPE);
    const { from, to } = timeRange(this.board, this.now, step);
    const further = { __interval: `${step}s`, __rate_interval: `${Math.max(step + SCRAPE, 4 * SCRAPE)}s`, __range: `${span.to - span.from}s`, ...scoped };
    const found = [];
    for (const target of panel.targets || []) {
      const query = this.fill(target.expr, further);
      const { result } = target.instant ? await this.ask('/api/v1/query', { query, time: this.now, step: `${SCRAPE}s` })
        : await this.ask('/api/v1/query_range', { query, start: from, end: to, step: `${step}s` });
      found.push(...(target.format === 'table' ? asRows(target, result, panel.targets.length > 1) : asSeries(target, result, step)));
    }
    return found;
  }
}

function asRows({ refId }, result, several) {
  if (!result.length) return [];
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return [toDataFrame({ refId, fields: [
    { name: 'Time', type: FieldType.time, values: result.map(({ value }) => value[0] * 1000) },
    ...labels.map((name) => ({ name, type: FieldType.string, config: { filterable: true }, values: result.map(({ metric }) => metric[name] ?? '') })),
    { name: several ? `Value #${refId}` : 'Value', type: FieldType.number, values: result.map(({ value }) => number(value[1])) },
  ] })];
}

function asSeries({ refId, legendFormat }, result, step) {
  return result.map(({ metric, values, value }) => {
    const { __name__, ...labels } = metric;
    const name = legendFormat ? legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '').trim() : Object.values(labels).join(' ') || 'Value';
    const points = values || [value];
    return toDataFrame({ refId, name, fields: [
      { name: 'Time', type: FieldType.time, config: { interval: step * 1000 }, values: points.map(([at]) => at * 1000) },
      { name: 'Value', type: FieldType.number, labels, config: { displayNameFromDS: name }, values: points.map(([, text]) => number(text)) },
    ] });
  });
}

const number = (text) => ({ '+Inf': Infinity, '-Inf': -Infinity }[text] ?? Number(text));
