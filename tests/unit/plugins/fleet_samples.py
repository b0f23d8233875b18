# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Made-up records and facts for the tests of the fleet's core."""
import random


def exporter(**changes):
    """The entry of a node_exporter in a record, which carries a source where it is in charge of a vendor or stands by."""
    made = dict({"job": "node_exporter", "port": 9100, "scheme": "http", "path": "/metrics", "elected": [], "standby": []}, **changes)
    if made["elected"] or made["standby"]:
        made.setdefault("source", "textfile")
    return made


def record(host, **changes):
    """The record of a host that answered and has eight devices."""
    # Hosts whose last three letters differ are at different addresses.
    made = {
        "host": host, "address": "10.%d.%d.%d" % tuple(host[-3:].rjust(3, "\0").encode()), "cluster": "c", "labels": {"rack": "r1"}, "state": "active",
        "answered": True, "accelerators": {"nvidia": {"H100": 8}}, "expected": {}, "exporters": [exporter(elected=["nvidia"])],
    }
    made.update(changes)
    return made


def unanswered(host, **changes):
    """The record of a host that did not answer."""
    return record(host, **dict({"answered": False, "accelerators": {}, "exporters": [exporter()]}, **changes))


def random_record(rng, host):
    """Some record of a host, answered or not."""
    seen = {vendor: {model: rng.randint(1, 8) for model in rng.sample(["A", "B"], rng.randint(1, 2))}
            for vendor in rng.sample(["nvidia", "amd"], rng.randint(0, 2))}
    answered = rng.random() < 0.7
    return record(
        host, answered=answered, accelerators=seen if answered else {}, state=rng.choice(["active", "maintenance"]),
        expected=rng.choice([{}, {}, {"nvidia": 4}]), address="10.%d.0.%d" % (rng.randint(0, 3), rng.randint(1, 9)),
        exporters=[exporter(elected=sorted(seen) if answered else []),
                   {"job": "ipmi", "port": rng.choice([9290, 9291]), "scheme": "http", "path": "/ipmi", "elected": [], "custom": True}])


def random_records(seed, count=8):
    """{host: record} with a generator of its own."""
    rng = random.Random(seed)
    return {"gpu%d" % number: random_record(rng, "gpu%d" % number) for number in rng.sample(range(12), count)}


def device(vendor="nvidia", state="ready", **changes):
    """A device as accelerator_facts tells it."""
    made = {"vendor": vendor, "model": "H100 SXM" if vendor == "nvidia" else "MI300X", "pci_id": "10de:2330" if vendor == "nvidia" else "1002:74a1",
            "pci_address": "0000:1b:00.0", "kind": "gpu", "state": state}
    made.update(changes)
    return made


def facts(*devices, **changes):
    """`ansible_facts` of a host with these devices."""
    summary = {}
    for one in devices:
        told = summary.setdefault(one["vendor"], {"count": 0, "models": {}, "states": {}})
        told["count"] += 1
        told["models"][one["model"]] = told["models"].get(one["model"], 0) + 1
        told["states"][one["state"]] = told["states"].get(one["state"], 0) + 1
    summary.update(changes.get("summary", {}))
    node = {"addresses": changes.get("addresses", []), **changes.get("node", {})}
    return {"accelerators": {"devices": list(devices), "summary": summary}, "accelmon_node": node}
