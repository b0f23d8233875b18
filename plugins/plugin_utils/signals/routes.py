# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of Alertmanager: how alerts are grouped and where they go."""

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import urls
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, dump, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import HIDDEN, Problem

TIMES = {"group_wait": "10s", "group_interval": "5m", "repeat_interval": "4h"}
URLS = ("webhook_urls", "watchdog_urls")


def checked(options):
    """The options with defaults, in plain types; raises Problem for the first that is wrong."""
    given = plain(options)
    for name in given:
        if name not in TIMES and name not in URLS:
            raise Problem(f"alertmanager_{name}: no such option; {closest(name, [*TIMES, *URLS])}")
    chosen = {**TIMES, **{name: [] for name in URLS}, **given}
    for name in TIMES:
        try:
            length = milliseconds(chosen[name])
        except ValueError:
            length = None
        if length is None or (not length and name != "group_wait"):
            raise Problem(f"not a duration; write a number with a unit, for instance {TIMES[name]}", f"alertmanager_{name}", chosen[name])
    for name in URLS:
        if not isinstance(chosen[name], list):
            raise Problem("not a list; give a list of addresses", f"alertmanager_{name}", HIDDEN)
        try:
            chosen[name] = urls(chosen[name])
        except Problem as problem:
            entry, _colon, wrong = str(problem).partition(": ")
            raise Problem(wrong, f"alertmanager_{name}, {entry}", HIDDEN) from None
    return chosen


def receiver(name, urls):
    """A receiver; without addresses, one that delivers nothing."""
    return {"name": name, **({"webhook_configs": [{"url": url, "send_resolved": True} for url in urls]} if urls else {})}


def config_file(options):
    """Text of the configuration; see the filter alertmanager_config for the options. Raises Problem."""
    chosen = checked(options)
    return dump({
        "route": {
            "receiver": "default", "group_by": ["cluster", "alertname"], **{name: str(chosen[name]) for name in TIMES},
            # Watchdog fires for ever. Only who waits for it hears it, soon and often; nobody else is bothered.
            "routes": [{"matchers": ['alertname="Watchdog"'], "receiver": "watchdog", "group_by": ["alertname"],
                        "group_wait": "0s", "group_interval": "1m", "repeat_interval": "1m"}],
        },
        "receivers": [receiver("default", chosen["webhook_urls"]), receiver("watchdog", chosen["watchdog_urls"])],
    })
