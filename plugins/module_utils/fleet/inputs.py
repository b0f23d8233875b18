# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which alerts cannot fire on a host, because nothing there provides what they look at. Pure functions.

inputs: {"alerts": {alert: [[reading]], choices of which one is enough}, "readings": {reading: {"present": expression, "sources": [source],
"optional": whether equal devices may differ in it, "vendor"?: the only one whose devices have it}}, "exporters": {source: role},
"vendors": {source: [vendor]}}
"""


def blind_alerts(vendor, source, present, inputs, of_equals=frozenset()):
    """{"broken", "unreported": [alert], "elsewhere": {role: [alert]}} of a vendor's devices on a host; each sorted.

    source: the one in charge; present: names of the readings that a device of the host has
    of_equals: those that hosts with the same models have, read by the same source
    broken: the source should provide for it, as it does on these; unreported: these devices do not report it; elsewhere: another exporter does.
    Alerts that no source of the vendor can provide for are about other devices, and left out.
    """
    found = {"broken": [], "unreported": [], "elsewhere": {}}
    readings = inputs["readings"]

    def provides(one, choice):
        return vendor in inputs["vendors"][one] and all(one in readings[name]["sources"] and readings[name].get("vendor") in (None, vendor) for name in choice)
    for alert, choices in sorted(inputs["alerts"].items()):
        if any(present.issuperset(choice) for choice in choices):
            continue
        ours = [choice for choice in choices if provides(source, choice)]
        if any(all(name in present or name in of_equals and not readings[name]["optional"] for name in choice) for choice in ours):
            found["broken"].append(alert)
        elif ours:
            found["unreported"].append(alert)
        else:
            roles = sorted(set(inputs["exporters"][one] for one in inputs["vendors"] if any(provides(one, choice) for choice in choices)))
            if roles:
                found["elsewhere"].setdefault(" or ".join(roles), []).append(alert)
    return found
