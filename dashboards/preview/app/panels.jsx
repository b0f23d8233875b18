// Copyright (c) 2026 accelmon.fleet contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A panel of each type that our dashboards use.
import React from 'react';
import { VizOrientation, getDisplayValueAlignmentFactors, getFieldDisplayValues, renderMarkdown } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { grafanaRange, timeRange } from './queries';

// More pixels than a letter of the stand-in has.
const LETTER = 7;
const same = (text) => text;

function values({ panel, data, config, theme }) {
  return getFieldDisplayValues({
    fieldConfig: config, reduceOptions: panel.options.reduceOptions, replaceVariables: same, theme, data, sparkline: panel.options.graphMode === 'area', timeZone: 'utc',
  });
}

function Lines({ panel, data, width, height, source }) {
  return <TimeSeries frames={data} width={width} height={height} timeRange={grafanaRange(timeRange(source.board, source.now))} timeZone="utc"
    legend={panel.options.legend} options={panel.options} structureRev={1} />;
}

function Stat(props) {
  const { panel, theme, width, height } = props;
  const shown = values(props);
  return <VizRepeater source={shown} getValues={() => shown} orientation={VizOrientation.Auto} width={width} height={height} renderCounter={0} autoGrid
    getAlignmentFactors={getDisplayValueAlignmentFactors} renderValue={({ value, width: each, height: high, alignmentFactors }) => <BigValue theme={theme} alignmentFactors={alignmentFactors} width={each} height={high} count={shown.length}
      value={value.display} sparkline={value.sparkline} colorMode={panel.options.colorMode} graphMode={panel.options.graphMode}
      justifyMode={panel.options.justifyMode} textMode={panel.options.textMode} wideLayout={panel.options.wideLayout} />} />;
}

function Bars(props) {
  const { panel, theme, width, height } = props;
  const shown = values(props);
  const { orientation, displayMode, showUnfilled, valueMode, minVizHeight, maxVizHeight, minVizWidth, namePlacement } = panel.options;
  return <VizRepeater source={shown} getValues={() => shown} orientation={orientation} width={width} height={height} renderCounter={0} itemSpacing={8}
    minVizHeight={minVizHeight} maxVizHeight={maxVizHeight} minVizWidth={minVizWidth} getAlignmentFactors={getDisplayValueAlignmentFactors}
    renderValue={({ value, width: each, height: high, alignmentFactors }) => <BarGauge theme={theme} alignmentFactors={alignmentFactors} width={each} height={high} value={value.display} field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex)} orientation={orientation} displayMode={displayMode} showUnfilled={showUnfilled}
      valueDisplayMode={valueMode} namePlacement={namePlacement} text={panel.options.text} />} />;
}

function Rows({ panel, data, width, height, theme }) {
  return <TableNG data={data[0]} width={width} height={height} noHeader={!panel.options.showHeader} cellHeight={panel.options.cellHeight}
    sortBy={panel.options.sortBy} initialSortBy={panel.options.sortBy} structureRev={1} theme={theme} disableKeyboardEvents />;
}

// Grafana's library has no such panel: drawn here, with its colours and texts.
function States({ data, width, height, theme, source }) {
  const { from, to } = timeRange(source.board, source.now);
  const names = data.map((frame) => frame.fields[1].config.displayNameFromDS);
  const left = Math.min(width * 0.4, 12 + LETTER * Math.max(...names.map(({ length }) => length)));
  const fitting = (name) => (LETTER * name.length + 12 > left ? `${name.slice(0, Math.floor((left - 12) / LETTER) - 1)}…` : name);
  const high = Math.min(44, (height - 22) / data.length);
  const x = (at) => left + (width - left) * Math.max(0, (at / 1000 - from) / (to - from));
  const styles = { fontSize: 12, fill: theme.colors.text.primary };
  return <svg width={width} height={height} data-stand-in="state-timeline">
    {data.map((frame, line) => {
      const [time, field] = frame.fields;
      const bars = [];
      field.values.forEach((value, place) => {
        const { text, color } = field.display(value);
        const end = time.values[place] + time.config.interval;
        const last = bars.at(-1);
        if (last && last.text === text && last.end >= time.values[place]) last.end = end;
        else bars.push({ text, color, begin: time.values[place], end });
      });
      return <g key={line}>
        <text x={left - 8} y={(line + 0.5) * high + 4} textAnchor="end" style={styles}>{fitting(names[line])}</text>
        {bars.map(({ text, color, begin, end }) => <rect key={begin} x={x(begin)} y={line * high + 2} width={Math.max(1, x(Math.min(end, to * 1000)) - x(begin))}
          height={high - 4} fill={color}><title>{text}</title></rect>)}
      </g>;
    })}
    {[0, 0.25, 0.5, 0.75].map((part) => <text key={part} x={left + part * (width - left)} y={height - 6} style={{ ...styles, fill: theme.colors.text.secondary }}>
      {new Date((from + part * (to - from)) * 1000).toISOString().slice(11, 16)}</text>)}
  </svg>;
}

const Text = ({ panel }) => <div className="markdown-html" dangerouslySetInnerHTML={{ __html: renderMarkdown(panel.options.content) }} />;

export const KINDS = { timeseries: Lines, stat: Stat, bargauge: Bars, table: Rows, 'state-timeline': States, text: Text };
// Grafana draws these without data, too, in a colour.
export const DRAWN_EMPTY = ['stat', 'bargauge'];
// Of these, the picture does not show what Grafana draws.
export const STAND_INS = ['state-timeline'];
