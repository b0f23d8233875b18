# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions over devices, in the language that Prometheus and VictoriaMetrics share: one value for each device, from whichever source has it."""

import re

# Between two readings of a counter that are compared. A leap is believed after that, once another reading has confirmed it.
LEAP = "1m"
# No sensor tells as many degrees or watts of a device that it could read.
HOTTEST = 5000
# A mask of bits from here on is a placeholder, which has bits of its own.
PLACEHOLDER = 65535
# A condition that no value of 0 meets.
ABOVE_ZERO = re.compile(r"(> \d|(>=|==) 0*[.]?0*[1-9])")
# How a row of now is matched with what it was before, which is told without its rack: a host may have come to another one meanwhile.
IN_ANY_RACK = "ignoring (rack) group_left ()"
# Ways to read rows that no function of the engines has. A rise is over the least of the window, so that a counter that begins above 0 or starts
# anew is no rise. What is 0 has not risen, and VictoriaMetrics then does not read the window of it: it takes only what is aggregated for empty, by
# some label.
SPANS = {"rise": "max without (__name__) (last_over_time({rows}[{recent}]) > 0) - %s min without (rack) (min_over_time({rows}[{window}]))" % IN_ANY_RACK,
         "range": "max_over_time({rows}[{window}]) - min_over_time({rows}[{window}])"}


def selector(metric, match, also=()):
    """metric{label="value",…} with the labels in order; also: matchers as they are. metric: its name, or a list of names."""
    if not isinstance(metric, str):
        metric, also = (metric[0], also) if len(metric) == 1 else ("", [f'__name__=~"{"|".join(metric)}"', *also])
    return "%s{%s}" % (metric, ",".join([f'{label}="{match[label]}"' for label in sorted(match)] + list(also)))


def number(value):
    """A number as it is written in an expression."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.6g}" if 0 < abs(value) < 0.00001 else f"{value:.6f}".rstrip("0").rstrip(".")


def raw(value, part):
    """A value in our unit in that of a raw series."""
    value = value * part.get("divide", 1) / part.get("multiply", 1)
    return number(int(value) if value == int(value) else value)


def raw_bounds(item, part):
    """(lowest, highest) of a raw series in its own unit, or None of one that has no value."""
    if "bounds" not in item:
        return None
    if "bounds" in part:
        return tuple(number(bound) for bound in part["bounds"])
    return tuple(raw(bound, part) for bound in item["bounds"])


def believed(part):
    """Matchers that leave out what is not to be believed."""
    return [f'{label}!~"{pattern}"' for label, pattern in part.get("except", {}).items()]


def matched(source, spec, part, also=()):
    """Selector of the raw rows of one raw series that count."""
    rows = [f'{label}=~"{pattern}"' for label, pattern in part.get("like", {}).items()]
    rows += [f'{label}!~"{pattern}"' for label, pattern in spec.get("further", {}).items()]
    return selector(part["metric"], {**part.get("match", {}), "source": source}, list(also) + believed(part) + rows)


def seen(source, spec, also=()):
    """Selector of the rows of which every device that a source sees has one at least."""
    return matched(source, spec, {"metric": spec["presence"]}, also)


def within(term, item, part):
    """The readings of a term that are within bounds; of what is aggregated already, as an engine aggregates a bare selector fastest."""
    bounds = raw_bounds(item, part)
    if not bounds:
        return term
    lowest, highest = bounds
    return f"{term} {'> 0' if item.get('zero') == 'unread' else f'>= {lowest}'} <= {highest}"


def last(rows, recent, offset=""):
    """Rows as they were at the last scrape of the recent ones, so that one that fails does not take them away; without recent, at this one."""
    moment = f" offset {offset}" if offset else ""
    return f"last_over_time({rows}[{recent}]{moment})" if recent else f"{rows}{moment}"


def leaps(rows, item, part, by=None):
    """The rows of a counter that have risen by more than they can; of devices, if by names the labels of one."""
    recent, leap = item.get("recent"), raw(item["leap"], part)
    now, before = last(rows, recent), last(rows, recent, LEAP)
    if by is None:
        return f"{now} - {before} > {leap}"
    # What is not above the leap has not leapt.
    return f"max by ({by}) ({now} > {leap}) - max by ({by}) ({before}) > {leap}"


def only_above_zero(item, part):
    """Whether no value of 0 counts, of what is 0 as long as nothing is wrong.

    It is then left out before rows are aggregated: VictoriaMetrics takes only what is aggregated for empty, and looks at nothing else then.
    """
    return "bit" not in part and ("times" in part or part.get("bounds", [0])[0] > 0 or item.get("above_zero", False))


def highest_of(rows, by, item, part):
    """One believable value for each device: the highest of its rows, unless it is out of bounds or a leap that nothing has confirmed yet."""
    few = " > 0" if only_above_zero(item, part) else ""
    term = within(f"max by ({by}) ({taken(rows, item, part)}{few})", item, part)
    return f"({term} unless ({leaps(rows, item, part, by)}))" if "leap" in item else term


def taken(rows, item, part):
    """Rows as they are read: over a window (of the reading, or of the raw series), and one bit of a mask of bits.

    What is recorded is read as it is; `recent` says that the last value of this time counts.
    """
    over = part.get("over", item.get("over"))
    if not over:
        rows = last(rows, item.get("recent"))
    else:
        function, _bracket, window = over.rstrip("]").partition("[")
        rows = SPANS.get(function, function + "({rows}[{window}])").format(rows=rows, window=window, recent=item.get("recent"))
    if "bit" not in part:
        return rows
    bit = 2 ** part["bit"]
    # Where 0 is no reading, as few rows as possible are left to aggregate.
    least = f" >= {bit}" if raw_bounds(item, part)[0] == "1" or item.get("above_zero") else ""
    return f"floor(({rows}{least} < {PLACEHOLDER}) / {bit}) % 2"


def of_read(term, source, spec, item, also):
    """Without the zeros of devices that were not read, where a source writes 0 for what it cannot read."""
    if "sensors" not in spec or item.get("zero") in ("unread", "counts"):
        return term
    key = "cluster, node, index, uuid"
    rows = last(matched(source, spec, {"metric": spec["sensors"]}, also), item.get("recent"))
    silent = f"group by ({key}) ({rows}) unless on ({key}) ({rows} > 0 < {HOTTEST})"
    return f"({term} unless on ({key}) ({silent} unless on ({key}) ({term} > 0)))"


def one_of_each(source, spec, item, part, by, also):
    """One value for each device from one raw series, scaled to our unit: rows of parts and of jobs become one."""
    names = ", ".join(by)
    if item["unit"] == "always 1":
        return f"group by ({names}) ({taken(matched(source, spec, part, also), item, part)})"
    if "labels_of" in part:
        inner = [label for label in by if label not in ("vendor", "model")]
        keys = [label for label in inner if label not in ("rack", "source")]
        others = f"group by ({', '.join(keys)}, vendor, model) ({selector(part['labels_of'], {'source': source}, believed(part))})"
        rows = selector(part["metric"], {**part.get("match", {}), "source": source}, also)
        counted = of_read(highest_of(rows, ", ".join(inner), item, part), source, spec, item, also)
        term = (f"({counted})"
                f" * on ({', '.join(keys)}) group_left (vendor, model) topk by ({', '.join(keys)}) (1, {others})")
    elif part.get("sum"):
        label = spec["parts"]
        whole = taken(matched(source, spec, part, list(also) + [f'{label}=""']), item, part)
        parts_of = taken(matched(source, spec, part, list(also) + [f'{label}!=""']), item, part)
        # A part that could not be read leaves the sum out of bounds: it is not known, and not the sum of the others.
        of_parts = within(f"sum by ({names}) (max by ({names}, {label}) ({parts_of}))", item, part)
        term = within(f"max by ({names}) ({whole})", item, part) + f" or {of_parts}"
    else:
        term = of_read(highest_of(matched(source, spec, part, also), names, item, part), source, spec, item, also)
    if "times" in part:
        return f"{part['times']} * ({term} > 0)"
    if part.get("decimal"):
        return f"(floor(({term}) / 256) / 10 ^ (({term}) % 256)) <= {number(item['bounds'][1])}"
    for word, sign in (("divide", "/"), ("multiply", "*")):
        if word in part:
            return f"({term}) {sign} {part[word]}"
    return term


def counted(term, spec, recent=""):
    """Without what the source shows as a device and the registry does not count, as graphics inside a processor."""
    return f"{term} unless on (cluster, node, uuid) {last('accelmon_fleet_uncounted_device', recent)}" if "uncounted" in spec else term


def in_charge(term, source, spec, recent=""):
    """What another source is in charge of is left out. Without the registry's series nothing is."""
    elected = last(selector("accelmon_source_elected", {"source": source}), recent)
    return f"({counted(term, spec, recent)} unless on (cluster, node, vendor) ({elected} == 0))"


def first_of(terms):
    """What the first term has, and what only the others have.

    All series of a side pass through an `or`, even if nothing comes from the other: what many devices have has to stand first, and what
    few have in the innermost brackets.
    """
    return terms[0] if len(terms) == 1 else f"{terms[0]}\nor ({first_of(terms[1:])})"


def device_expression(item, variant, labels, sources, also=(), condition=""):
    """One value for each device, from whichever source is in charge of it.

    It is one expression and not one rule for each source: when the election changes, a rule that no longer has a device
    would end the series which another rule goes on with. also: further matchers. condition: what is left of the values, as in "> 0"; said
    here, so that engines look up who is in charge for what is left only.
    """
    by = labels + item.get("labels", [])
    terms = []
    for source in sources:
        if source in variant["from"]:
            parts = variant["from"][source]
            # A choice that has a value of 0 keeps those after it from counting.
            choices = [one_of_each(source, sources[source], {**item, "above_zero": part is parts[-1] and bool(ABOVE_ZERO.match(condition))}, part, by, also)
                       for part in parts]
            term = choices[0] if len(choices) == 1 else f"({' or '.join(choices)})"
            terms.append(in_charge(f"({term}) {condition}" if condition else term, source, sources[source], item.get("recent", "")))
    return first_of(terms)
