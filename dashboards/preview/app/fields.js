// Copyright (c) 2026 accelmon.fleet contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// From answers to what panels draw: transformations, units, thresholds and overrides, by Grafana's libraries.
import {
  FieldColorModeId, FieldConfigOptionsRegistry, applyFieldOverrides, cacheFieldDisplayNames, dataLinksOverrideProcessor,
  displayNameOverrideProcessor, getValueFormats, identityOverrideProcessor, numberOverrideProcessor, standardFieldConfigEditorRegistry,
  standardTransformers, standardTransformersRegistry, thresholdsOverrideProcessor, transformDataFrame, unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

const STANDARD = {
  unit: unitOverrideProcessor, decimals: numberOverrideProcessor, min: numberOverrideProcessor, max: numberOverrideProcessor,
  thresholds: thresholdsOverrideProcessor, mappings: valueMappingsOverrideProcessor, displayName: displayNameOverrideProcessor,
  links: dataLinksOverrideProcessor, noValue: identityOverrideProcessor, color: identityOverrideProcessor, filterable: identityOverrideProcessor,
};
const CUSTOM = ['drawStyle', 'lineInterpolation', 'lineWidth', 'fillOpacity', 'gradientMode', 'lineStyle', 'spanNulls', 'showPoints', 'pointSize', 'stacking',
  'axisPlacement', 'axisLabel', 'axisSoftMin', 'axisSoftMax', 'scaleDistribution', 'thresholdsStyle', 'hideFrom', 'fillBelowTo', 'transform', 'barAlignment',
  'cellOptions', 'align', 'width', 'minWidth', 'hidden', 'inspect', 'filterable', 'wrapText', 'wrapHeaderText'];
const LINES = {
  drawStyle: 'line', lineWidth: 1, fillOpacity: 0, pointSize: 5, showPoints: 'auto', axisPlacement: 'auto', stacking: { mode: 'none', group: 'A' },
  scaleDistribution: { type: 'linear' }, hideFrom: { legend: false, tooltip: false, viz: false }, thresholdsStyle: { mode: 'off' },
};

const option = (id, process, isCustom) => ({
  id: isCustom ? `custom.${id}` : id, path: id, name: id, isCustom, process, shouldApply: () => true, override: () => null, editor: () => null,
});
const registry = new FieldConfigOptionsRegistry(() => [
  ...Object.entries(STANDARD).map(([id, process]) => option(id, process, false)), ...CUSTOM.map((id) => option(id, identityOverrideProcessor, true)),
]);
standardFieldConfigEditorRegistry.setInit(() => registry.list().filter(({ isCustom }) => !isCustom));
standardTransformersRegistry.setInit(() => [...new Map(Object.values(standardTransformers).map((one) => [one.id, one])).values()].map(
  (one) => ({ id: one.id, name: one.name, editor: () => null, transformation: () => Promise.resolve(one) })));

const UNITS = new Set(getValueFormats().flatMap(({ submenu }) => submenu.map(({ value }) => value)));

// Names that Grafana would pass over in silence.
export function misspelt(panel) {
  const found = [];
  const { defaults = {}, overrides = [] } = panel.fieldConfig || {};
  for (const unit of [defaults.unit, ...overrides.flatMap(({ properties }) => properties).filter(({ id }) => id === 'unit').map(({ value }) => value)]) {
    if (unit && !UNITS.has(unit) && !unit.includes(':')) found.push(`unknown unit ${unit}`);
  }
  for (const { id } of panel.transformations || []) if (!standardTransformersRegistry.getIfExists(id)) found.push(`unknown transformation ${id}`);
  for (const { properties } of overrides) for (const { id } of properties) if (!registry.getIfExists(id)) found.push(`unknown property ${id}`);
  return found;
}

const withFloor = (thresholds) => thresholds && { ...thresholds, steps: thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })) };

function fieldConfig(panel) {
  const { defaults, overrides } = structuredClone(panel.fieldConfig);
  const lines = panel.type === 'timeseries';
  return {
    defaults: {
      ...defaults, color: defaults.color || { mode: lines ? FieldColorModeId.PaletteClassic : FieldColorModeId.Thresholds },
      thresholds: withFloor(defaults.thresholds), custom: { ...(lines ? LINES : {}), ...defaults.custom },
    },
    overrides: overrides.map(({ matcher, properties }) => ({
      matcher, properties: properties.map(({ id, value }) => ({ id, value: id === 'thresholds' ? withFloor(value) : value })),
    })),
  };
}

export async function prepared(panel, frames, theme, fill) {
  const series = await lastValueFrom(transformDataFrame(panel.transformations || [], frames, { interpolate: fill }));
  const config = fieldConfig(panel);
  const data = applyFieldOverrides({ data: series, fieldConfig: config, theme, timeZone: 'utc', replaceVariables: fill, fieldConfigRegistry: registry });
  cacheFieldDisplayNames(data);
  return { data, config };
}
