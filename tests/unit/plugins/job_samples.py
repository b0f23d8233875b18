# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Made-up answers of a storage about a job, for the tests of its report. Guessed: the shape is that of the recorded series, the values are not."""
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import job
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import job as pages

NOW, SECONDS, STEP = 1795229340, 7200, 60
VIEWS = pages.views()
USUAL = {"utilization": 0.9, "idle": 0.05, "memory": 0.6, "temperature": 60.0, "power": 600.0, "energy": 600.0 * SECONDS / STEP, "clock": 1.9e9, "heat": 0.0}


def device(node="gpu1", index=0, cluster="west", model="NVIDIA H100 80GB HBM3", **changes):
    """Labels of a device."""
    return {"cluster": cluster, "rack": "r1", "node": node, "vendor": "nvidia", "index": str(index), "uuid": f"GPU-{node}-{index}", "model": model,
            "pci_bus_id": f"0000:{index:02x}:00.0", **changes}


def answers(devices, **values):
    """What the storage said about a job that had these devices all the time; values: functions of a device that give a value."""
    moments = float(SECONDS // STEP)
    readings = {name: (lambda _one, value=value: value) for name, value in USUAL.items()}
    readings.update(values)
    times = list(range(NOW - SECONDS, NOW + 1, 120))
    return {"held": [({name: one[name] for name in job.DEVICE}, moments) for one in devices], "info": [(one, moments) for one in devices],
            "values": {name: [({label: one[label] for label in (*job.DEVICE, "vendor")}, float(make(one))) for one in devices]
                       for name, make in readings.items()},
            "lines": {name: [(at, 0.5 + place % 3 / 10) for place, at in enumerate(times)] for name in VIEWS["lines"]}, "times": times,
            "last": [], "before": [], "after": [], "alerts": [], "step": STEP,
            "peers": [[({"vendor": "nvidia", "model": one["model"], "reading": "power", "whose": whose}, value)
                       for one in devices[:1] for whose, value in (("job", 600.0), ("others", 450.0))]]}


def document(told, hosts=None, problems=(), **changes):
    """The report of a job."""
    about = {"id": "4711", "cluster": "west", "user": "ada", "account": "physics", "partition": "gpu", "begin": NOW - SECONDS, "end": NOW,
             "seconds": SECONDS, "running": False, "longer": False, "earlier": [], **changes}
    return {**job.document(VIEWS, told, about, list(problems), hosts, NOW + 60), "monitoring_host": "mon01"}
