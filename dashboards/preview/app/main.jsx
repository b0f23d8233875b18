// Copyright (c) 2026 accelmon.fleet contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A dashboard without Grafana's server. ?board=FILE&storage=ADDRESS&now=SECONDS&theme=light|dark&width=PIXELS, and var-NAME=VALUE.
import React, { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { ThemeContext, createTheme } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import 'uplot/dist/uPlot.min.css';
import { misspelt, prepared } from './fields';
import { DRAWN_EMPTY, KINDS, STAND_INS } from './panels';
import { Source } from './queries';

const parameters = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: parameters.get('theme') } });
const WIDTH = Number(parameters.get('width'));
// Grafana's grid: 24 columns, lines of 30 pixels, gaps of 8; one column on narrow screens.
const COLUMNS = 24, LINE = 30, GAP = 8, NARROW = 769, TOP = 48;

// check.mjs reads these.
window.preview = { errors: [], panels: {}, waiting: 1 };
const reporter = (where) => (text) => window.preview.errors.push(`${where}: ${text}`);

function Panel({ panel, width, height, source }) {
  const [state, setState] = useState(null);
  const Kind = KINDS[panel.type];
  useEffect(() => {
    (async () => {
      try {
        if (!Kind) throw new Error(`the preview has no panel of type ${panel.type}`);
        misspelt(panel).forEach(reporter(panel.title));
        const fill = (text) => source.fill(text, { __url_time_range: '', ...panel.scoped });
        const shown = panel.targets ? await prepared(panel, await source.frames(panel, width, panel.scoped), theme, (text) => text && fillKnown(text, fill)) : { data: [null] };
        window.preview.panels[panel.title] = { type: panel.type, frames: shown.data.length };
        setState(shown);
      } catch (error) {
        reporter(panel.title)(error.stack);
        setState({ data: [], error: String(error) });
      } finally {
        window.preview.waiting -= 1;
      }
    })();
  }, []);
  const title = STAND_INS.includes(panel.type) ? `${panel.title} (stand-in for Grafana's panel)` : panel.title;
  return <PanelChrome title={title} description={panel.description} width={width} height={height}>
    {(inner, high) => state && (state.data.length || (DRAWN_EMPTY.includes(panel.type) && !state.error) ? <Kind {...state} panel={panel} width={inner} height={high} theme={theme} source={source} />
      : <div className="empty">{state.error || panel.fieldConfig.defaults.noValue}</div>)}
  </PanelChrome>;
}

// Links also name values of their row, which are not known here.
const fillKnown = (text, fill) => (/\$\{__(?:data|value|url)/.test(text) ? text : fill(text));

class Boundary extends React.Component {
  state = {};

  static getDerivedStateFromError(error) { return { error }; }

  componentDidCatch(error) { reporter(this.props.title)(error.stack); }

  render() { return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children; }
}

// One copy of a panel for each value of the variable it names, below each other; what is below moves down.
function repeated(panels, source) {
  const found = [];
  let moved = 0, above = -1, grown = 0;
  for (const panel of panels) {
    if (panel.gridPos.y > above) { moved += grown; grown = 0; above = panel.gridPos.y; }
    const values = panel.repeat ? source.values[panel.repeat].options : [null];
    values.forEach((value, place) => {
      const scoped = panel.repeat ? { [panel.repeat]: value } : {};
      found.push({ ...panel, scoped, title: source.fill(panel.title, scoped), gridPos: { ...panel.gridPos, y: panel.gridPos.y + moved + place * panel.gridPos.h } });
    });
    grown = Math.max(grown, (values.length - 1) * panel.gridPos.h);
  }
  return found;
}

function places(panels) {
  if (WIDTH >= NARROW) {
    const column = (WIDTH - GAP) / COLUMNS;
    return panels.map(({ gridPos: { x, y, w, h } }) => ({
      left: GAP + x * column, top: TOP + y * (LINE + GAP), width: w * column - GAP, height: h * (LINE + GAP) - GAP,
    }));
  }
  let top = TOP;
  return panels.map(({ gridPos: { h } }) => {
    const place = { left: GAP, top, width: WIDTH - 2 * GAP, height: h * (LINE + GAP) - GAP };
    top += place.height + GAP;
    return place;
  });
}

function Board({ source }) {
  const panels = repeated(source.board.panels, source);
  const placed = places(panels);
  const bottom = Math.max(...placed.map(({ top, height }) => top + height));
  const { text, background } = theme.colors;
  return <div style={{ position: 'relative', width: WIDTH, height: bottom + 40, background: background.canvas, color: text.primary }}>
    <header style={{ padding: '12px 8px', height: TOP, whiteSpace: 'nowrap', overflow: 'hidden' }}>
      <b style={{ fontSize: 18, marginRight: 20 }}>{source.board.title}</b>
      {WIDTH >= NARROW && source.board.templating.list.filter(({ type }) => type === 'query').map(({ name, label }) => <span key={name} style={{ marginRight: 16 }}>
        <span style={{ color: text.secondary }}>{label}</span> {source.values[name].shown}</span>)}
    </header>
    {panels.map((panel, place) => <section key={place} data-panel={panel.title} style={{ position: 'absolute', ...placed[place] }}>
      {panel.type === 'row' ? <b style={{ lineHeight: `${LINE}px`, fontSize: 16 }}>{panel.title}</b>
        : <Boundary title={panel.title}><Panel panel={panel} source={source} {...placed[place]} /></Boundary>}
    </section>)}
    <footer style={{ position: 'absolute', top: bottom + 12, left: GAP, fontSize: 12, color: text.secondary }}>
      A made-up fleet, drawn with Grafana&apos;s libraries and without its server. Header, rows and panels marked as stand-ins are not Grafana&apos;s.</footer>
  </div>;
}

async function main() {
  const board = await (await fetch(parameters.get('board'))).json();
  // Closed rows are drawn open.
  board.panels = board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  const source = new Source(parameters.get('storage'), board, Number(parameters.get('now')), reporter(board.title));
  await source.loadVariables(Object.fromEntries([...parameters].filter(([name]) => name.startsWith('var-')).map(([name, value]) => [name.slice(4), value])));
  window.preview.waiting = repeated(board.panels, source).filter(({ type }) => type !== 'row').length;
  document.body.style.background = theme.colors.background.canvas;
  createRoot(document.getElementById('root')).render(<ThemeContext.Provider value={theme}><GlobalStyles /><Board source={source} /></ThemeContext.Provider>);
}

main().catch((error) => {
  reporter('board')(error.stack);
  window.preview.waiting = 0;
});
