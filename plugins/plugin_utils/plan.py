# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on a host and what is scraped there: pure functions from checked values and facts.

values: as `fleet.read_values` gives them for `fleet.plan_specs`
facts: as `fleet.facts_of` gives them, or None for a host that did not answer
"""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.exporters import is_closed
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import is_own
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import RIDING_EXPORTERS, Problem

# Vendors whose devices the textfile collector can read.
TEXTFILE_VENDORS = ("amd", "nvidia")

# States of a device that no tool can read, and what mends them.
DRIVERLESS = {
    "driver_missing": "install the vendor's driver",
    "driver_unbound": "ask the kernel log why the driver did not take the device",
    "wrong_driver": "replace the driver that holds the device by the vendor's",
}


# Distributions that have packages of the programs. All others need another source.
PACKAGED = ("debian", "ubuntu")


def unpackaged(source, facts):
    """Words about a source that the host's distribution cannot be, or None."""
    distribution = (facts or {}).get("distribution")
    if source != "package" or distribution is None or distribution in PACKAGED:
        return None
    return f"{distribution} has no such packages; set it to release or bundle"


def driverless(summary):
    """{vendor: number of counted devices without a working driver}, vendors with none left out."""
    found = {}
    for vendor, told in summary.items():
        count = sum(number for state, number in (told.get("states") or {}).items() if state in DRIVERLESS)
        if count:
            found[vendor] = count
    return found


def monitorable(summary):
    """Vendors with at least one device that a tool can read, sorted."""
    without = driverless(summary)
    return sorted(vendor for vendor, told in summary.items()
                  if told.get("count", 0) > without.get(vendor, 0) and told.get("count", 0) > told.get("embedded", 0))


def unwatched(summary):
    """Vendors of which the host has devices that no tool reads though it reads the vendor's others, sorted: GPUs inside a Tegra."""
    return sorted(str(vendor) for vendor, told in summary.items() if told.get("embedded") and vendor in TEXTFILE_VENDORS)


def counts(summary):
    """{vendor: {model: count}} of all counted devices."""
    found = {}
    for vendor, told in summary.items():
        models = {str(model): int(number) for model, number in (told.get("models") or {}).items() if number}
        if models:
            found[str(vendor)] = models
    return found


def elected(values, facts):
    """Vendors that the textfile collector is in charge of, sorted. A host that did not answer has what is declared for it."""
    if values["accelmon_exporters"] != "auto" and "textfile_collector" not in values["accelmon_exporters"]:
        return []
    if facts is None:
        vendors = [vendor for vendor, count in values["accelmon_expected"].items() if count > 0]
    else:
        vendors = monitorable(facts["summary"])
    return [vendor for vendor in TEXTFILE_VENDORS if vendor in vendors]


def wanted(values, vendors):
    """Exporter roles of the host, those with a port before those that ride on them."""
    if values["accelmon_exporters"] != "auto":
        return sorted(values["accelmon_exporters"], key=lambda role: (role in RIDING_EXPORTERS, role))
    return ["node_exporter", "textfile_collector"] if vendors else ["node_exporter"]


# What a role does about an exporter that someone else manages: prove that it serves us, or nothing.
UNMANAGED = {"adopt": ["node_exporter_adopted"], "external": []}


def roles_to_run(values, vendors, facts, monitoring):
    """What to run on the host: `access` first, its backend, then its exporters. One that someone else manages is scraped all the same.

    monitoring: whether the host scrapes the fleet
    """
    roles = ["access"] if needs_access(values, facts, monitoring) else []
    if monitoring:
        roles.append(values["accelmon_backend"])
    for role in wanted(values, vendors):
        roles += UNMANAGED.get(values["node_exporter_managed"], [role]) if role == "node_exporter" else [role]
    return roles


def needs_access(values, facts, monitoring):
    """Whether secrets or certificates belong on the host, or are there and have to go."""
    closed = is_closed(values["accelmon_exporter_tls"], values["accelmon_exporter_auth"])
    return monitoring or closed or bool(facts and facts["access"])


def exporters(values, vendors):
    """The exporter entries of the host's record: our own, then the custom ones."""
    entries = []
    if "node_exporter" in wanted(values, vendors) and values["node_exporter_state"] != "absent":
        ours = values["node_exporter_managed"] == "install"
        entries.append({"job": "node_exporter", "port": values["node_exporter_port"],
                        "scheme": "https" if ours and values["accelmon_exporter_tls"] != "none" else "http",
                        "path": values["node_exporter_metrics_path"], "elected": vendors})
    for custom in values["accelmon_custom_exporters"]:
        entries.append(dict(custom, elected=[], custom=True))
    return entries


def listen_address(values, address, facts):
    """The address for the host's exporters to listen on: its own, else `accelmon_listen`; "" means all.

    An image is not the host that it will run on, and has no address of its own.
    """
    if values["accelmon_phase"] != "image" and facts is not None and is_own(address, facts["addresses"]):
        return address
    return values["accelmon_listen"]


def check_drivers(facts):
    """Raises Problem when counted devices have no working driver."""
    # What no exporter of ours reads is recorded with or without a driver.
    without = {vendor: count for vendor, count in driverless(facts["summary"]).items() if vendor in TEXTFILE_VENDORS}
    if not without:
        return
    devices = [device for device in facts["devices"]
               if device.get("state") in DRIVERLESS and device.get("kind") != "virtual_function" and device.get("vendor") in without]
    what = " and ".join(f"{count} {vendor} accelerator{'s' if count > 1 else ''}" for vendor, count in sorted(without.items()))
    have = "has" if sum(without.values()) == 1 else "have"
    named = ", ".join(_device_words(device) for device in devices[:3])
    if len(devices) > 3:
        named += f" and {len(devices) - 3} more"
    mends = sorted({DRIVERLESS[device["state"]] for device in devices}) or [DRIVERLESS["driver_missing"]]
    raise Problem(f"{what} {have} no working driver ({named}); {', '.join(mends)}, "
                  "or set accelmon_driver_missing to ignore to monitor the host without them")


def _device_words(device):
    words = [device.get("model"), device.get("pci_id"), device.get("pci_address")]
    unique = [word for number, word in enumerate(words) if word and not any(word in other for other in words[:number] if other)]
    return f"{' '.join(unique)} {device['state']}"
