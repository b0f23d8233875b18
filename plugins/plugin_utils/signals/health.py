# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health of devices and nodes as rules: what is wrong with a device, how much is known of it, and the score of its worst component."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import error_series, errors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import READING, expanded, parts, reading_of, recent, slow, there

STATE, KNOWN, SCORE = "accelerator_health_state", "accelerator_health_known_ratio", "accelerator_health_score"
PERFECT = 100


def any_of(terms):
    """What any of the expressions has; the first one counts."""
    return "\nor ".join(terms)


def logged(names):
    """Matchers of error codes of the kernel log, by names such as "xid 79": codes that two kinds share are of one of them alone there."""
    return error_series.matchers(name.split(" ") for name in names)


def is_recorded(name):
    """Whether the recording layer has a reading as it is."""
    spec = reading_of(name)
    return "recorded" in spec and not {"over", "limits"} & spec.keys()


def recorded(interval):
    """How old a recorded series may be, whose rule is evaluated at this interval or once a minute; two evaluations may fail."""
    return recent(slow(interval))


def from_layer(text):
    """The expression with recorded series in place of the readings that they are: health is of the recording layer, and need not compute them again."""
    labels = ", ".join(load("series")["labels"])

    def of_layer(match):
        name, condition = match.groups()
        if not is_recorded(name):
            return match.group(0)
        series = f"max by ({labels}) (last_over_time({reading_of(name)['recorded']}[%recorded%]))"
        return f"({series} {condition})" if condition else series

    return READING.sub(of_layer, text)


def known(component, interval):
    """Expressions of which each has a value for every device of which the component is known."""
    if "known" in component:
        return component["known"]
    texts = [text for grade in ("fatal", "degraded") if grade in component for text in component[grade]["expr"]]
    names = [name for text in texts for name, _condition in READING.findall(text)]
    return [f"%{name}()%" if is_recorded(name) else there(name, interval) for name in dict.fromkeys(names)]


def state_rules(components, filled):
    """What is wrong: 0 where a component is fatal, 1 where it is degraded, and no series where it is neither."""
    rules = []
    for component in components:
        terms = [f"0 * (\n{any_of(component['fatal']['expr'])}\n)"] if "fatal" in component else []
        terms += [f"0 * (\n{any_of(component['degraded']['expr'])}\n) + 1"] if "degraded" in component else []
        rules.append({"record": STATE, "expr": filled(any_of(terms)), "labels": {"component": component["component"]}})
    return rules


def known_rule(components, filled, interval):
    """Which part of the components is known of each device that is seen. Readings over a long window outlive the device, so it has to be seen."""
    counted = [component for component in components if component.get("counts", True)]
    labels = ", ".join(load("series")["labels"])
    rows = any_of(f'label_replace((\n{any_of(known(component, interval))}\n), "component", "{component["component"]}", "", "")' for component in counted)
    return {"record": KNOWN, "expr": filled(f"count by ({labels}) (\n{rows}\n) / {len(counted)}\nand %present()%")}


def score_rules(components):
    """The scores, of what is recorded before: a device's is that of its worst component, a node's that of its worst device."""
    series = load("series")
    scores = {}
    for component in components:
        if "degraded" in component:
            scores.setdefault(component["degraded"]["score"], []).append(component["component"])
    found = [f'({STATE}{{index!=""}} == 0)']
    found += [f'{score} * ({STATE}{{index!="",component=~"{"|".join(names)}"}} == 1)' for score, names in sorted(scores.items())]
    device = (f"(\nmin by ({', '.join(series['labels'])}) (\n{any_of(found)}\n)\n"
              f"or (0 * {KNOWN} + {PERFECT})\n)\nand {KNOWN}")
    # What has no index is of the node: a device that is missing, or has a fatal code and is not seen any more.
    node = f"min by ({', '.join(series['levels']['node'])}) (\n{device}\nor ({STATE}{{index=\"\"}} == 0)\n)"
    return [{"record": SCORE, "expr": device}, {"record": f"node:{SCORE}:min", "expr": node}]


def health_rules(interval):
    """(rules about components, rules of the scores, which read what those record)."""
    health, fatal = load("health"), errors.fatal().values()
    values = {**parts(load("alerts"), load("sources")["sources"], interval), **health["parts"], "recorded": recorded(interval),
              "fatal": logged(name for names in fatal for name in names), "witness": logged(names[0] for names in fatal)}

    def filled(text):
        return expanded(from_layer(text), values, interval)

    components = health["components"]
    return [*state_rules(components, filled), known_rule(components, filled, interval)], score_rules(components)
