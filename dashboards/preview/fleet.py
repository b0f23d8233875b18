# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet that never was: what its exporters would have said over the last hours.

guessed: all values are made up; names and labels are those of the exporters' documentation. Two clusters, devices of two vendors, one job
that keeps two nodes busy, one device that fell off the bus, a hot one, and one with a row remapping pending.
"""

import hashlib
import math

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import choices, registry
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import exporter, record
import expositions

HOURS, STEP = 24, 60
GIB = 2 ** 30
MODELS = {"H100": ("NVIDIA H100 80GB HBM3", 80, 700, 1980), "L40S": ("NVIDIA L40S", 45, 350, 2520), "MI300X": ("AMD Instinct MI300X", 192, 750, 2100)}
# node: cluster, rack, vendor, model, devices, source
NODES = {
    "gpu01": ("east", "r1", "nvidia", "H100", 8, "textfile"),
    "gpu02": ("east", "r1", "nvidia", "H100", 8, "dcgm"),
    "gpu03": ("east", "r2", "nvidia", "H100", 8, "textfile"),
    "amd01": ("east", "r2", "amd", "MI300X", 8, "textfile"),
    "edge01": ("west", "r9", "nvidia", "L40S", 2, "textfile"),
}
JOBS = {"gpu01": ("48211", "ana", "climate", "train"), "gpu02": ("48211", "ana", "climate", "train"), "amd01": ("48260", "li", "vision", "batch")}
GONE = ("gpu03", 5)
GONE_SINCE = 3 * 3600
PENDING = ("gpu02", 2)
PENDING_SINCE = 4 * 3600


def noise(*what):
    """A number from 0 to 1 that is always the same for the same things."""
    return int.from_bytes(hashlib.blake2b(repr(what).encode(), digest_size=4).digest(), "big") / 2 ** 32


def wave(age, hours, *what):
    """From 0 to 1 and back in so many hours, from a beginning of its own."""
    return 0.5 + 0.5 * math.sin(2 * math.pi * (age / 3600 / hours + noise(*what)))


def busy(node, index, age):
    """The share of time in which a device was busy, so many seconds ago."""
    if node in ("gpu01", "gpu02"):
        # A training job of many devices, which writes a checkpoint every two hours.
        return 0.12 if (age + 3000) % 7200 < 240 else 0.93 + 0.06 * noise(node, index, age)
    if node == "amd01":
        return 0.75 + 0.2 * noise(node, index, age) if age < 5 * 3600 and index < 6 else 0.0
    if node == "gpu03":
        return 0.15 + 0.6 * wave(age, 12, index) + 0.1 * noise(node, index, age)
    return 0.03 * noise(node, index, age)


class Device:
    """One device, and what it would have read so many seconds ago."""

    def __init__(self, node, index):
        self.node, self.index = node, index
        _cluster, _rack, self.vendor, model, _count, _source = NODES[node]
        self.model, self.memory, self.limit, self.clock = MODELS[model]
        self.address = f"0000:{index * 16 + 27:02x}:00.0"
        self.uuid = f"GPU-{hashlib.sha256(f'{node}{index}'.encode()).hexdigest()[:8]}-0000-4000-8000-{index:012d}"
        self.hot = 14 if (node, index) == ("gpu01", 3) else 0

    def busy(self, age):
        """Share of time."""
        return min(1, busy(self.node, self.index, age))

    def used(self, age):
        """Bytes."""
        return round((0.05 + 0.8 * min(1, 1.4 * self.busy(age + 600))) * self.memory * GIB)

    def temperature(self, age):
        """Degrees Celsius."""
        return round(33 + (38 + self.hot) * self.busy(age) + 3 * noise("t", self.node, self.index))

    def power(self, age):
        """Watts."""
        return round(self.limit * (0.12 + 0.8 * self.busy(age)), 1)

    def hertz(self, age):
        """Clock of the compute units."""
        return (self.clock - 40 * round(4 * noise("c", self.node, self.index, age)) - (300 if self.hot and self.busy(age) > 0.5 else 0)) * 1000000


def textfile(device, now):
    """[(name, further labels, reading by age)] of a device, as our collector writes them."""
    hot = bool(device.hot)
    rows = [
        ("node_gpu_info", f'pci_address="{device.address}",driver_version="{"570.86.15" if device.vendor == "nvidia" else "6.12.12"}"', lambda age: 1),
        ("node_gpu_utilization_percent", "", lambda age: round(100 * device.busy(age))),
        ("node_gpu_memory_used_bytes", "", device.used),
        ("node_gpu_memory_total_bytes", "", lambda age: device.memory * GIB),
        ("node_gpu_temperature_celsius", "", device.temperature),
        ("node_gpu_power_draw_watts", "", device.power),
        ("node_gpu_power_limit_watts", "", lambda age: device.limit),
        ("node_gpu_clock_hertz", 'domain="core"', device.hertz),
        ("node_gpu_ecc_errors_total", 'type="uncorrected",scope="volatile"', lambda age: 0),
        ("node_gpu_pcie_replays_total", "", lambda age: 20 if hot else 0),
        ("node_gpu_errors_total", f'pci_address="{device.address}",kind="xid",code="79"', lambda age: 0),
    ]
    if device.vendor == "nvidia":
        rows += [
            ("node_gpu_memory_temperature_celsius", "", lambda age: device.temperature(age) + 8),
            ("node_gpu_row_remap_pending", "", lambda age: 0),
            ("node_gpu_row_remap_failed", "", lambda age: 0),
            ("node_gpu_throttle_seconds_total", 'reason="hw_thermal_slowdown"', lambda age: (now - age) % 864000 * (0.25 if hot else 0)),
        ]
    return rows


def dcgm(device, now):
    """The same of NVIDIA's exporter."""
    return [(f"DCGM_FI_DEV_{name}", "", reading) for name, reading in {
        "GPU_TEMP": device.temperature, "GPU_UTIL": lambda age: round(100 * device.busy(age)), "FB_TOTAL": lambda age: device.memory * 1024,
        "FB_USED": lambda age: device.used(age) // 2 ** 20, "POWER_USAGE": device.power, "ENFORCED_POWER_LIMIT": lambda age: device.limit,
        "MEMORY_TEMP": lambda age: device.temperature(age) + 8, "SM_CLOCK": lambda age: device.hertz(age) / 1000000,
        "TOTAL_ENERGY_CONSUMPTION": lambda age: (now - age) % 8640000 * 600000, "ECC_DBE_VOL_TOTAL": lambda age: 0,
        "ROW_REMAP_PENDING": lambda age: int((device.node, device.index) == PENDING and age < PENDING_SINCE),
        "ROW_REMAP_FAILURE": lambda age: 0, "SLOWDOWN_TEMP": lambda age: 87,
        "THERMAL_VIOLATION": lambda age: 0, "CLOCKS_EVENT_REASONS": lambda age: 1, "PCIE_REPLAY_COUNTER": lambda age: 0,
        "PCIE_LINK_WIDTH": lambda age: 16, "PCIE_MAX_LINK_WIDTH": lambda age: 16, "GET_GPU_RECOVERY_ACTION": lambda age: 0,
        "NVLINK_REPLAY_ERROR_COUNT_TOTAL": lambda age: int(age < 5000) * 3}.items()]


FORMS = {
    "textfile": ("node_exporter", textfile, 'gpu="{0.index}",uuid="{0.uuid}",vendor="{0.vendor}",model="{0.model}"'),
    "dcgm": ("dcgm_exporter", dcgm, 'gpu="{0.index}",UUID="{0.uuid}",pci_bus_id="0000{0.address}",modelName="{0.model}",'
                                    'DCGM_FI_DRIVER_VERSION="570.86.15"'),
}


def linked(model):
    """Whether devices of a model have NVLink."""
    return "H100" in MODELS[model][0]


def rising(now, rate):
    """A counter that rises by so much a second."""
    return lambda age: (now - age) % 864000 * rate


def host(node, now):
    """[(name, labels, reading by age)] of the machine itself."""
    def load(age):
        return 0.2 + 0.5 * busy(node, 0, age)

    rows = [
        ("node_boot_time_seconds", "", lambda age: now - 40 * 86400),
        ("node_memory_MemTotal_bytes", "", lambda age: 1024 * GIB),
        ("node_memory_MemAvailable_bytes", "", lambda age: round((0.8 - 0.4 * load(age)) * 1024 * GIB)),
        ("node_filesystem_size_bytes", 'mountpoint="/",fstype="ext4",device="/dev/nvme0n1p2"', lambda age: 400 * GIB),
        ("node_filesystem_avail_bytes", 'mountpoint="/",fstype="ext4",device="/dev/nvme0n1p2"', lambda age: 240 * GIB),
        ("node_filesystem_size_bytes", 'mountpoint="/scratch",fstype="xfs",device="/dev/nvme1n1"', lambda age: 7000 * GIB),
        ("node_filesystem_avail_bytes", 'mountpoint="/scratch",fstype="xfs",device="/dev/nvme1n1"', lambda age: (900 if node == "gpu01" else 4000) * GIB),
        ("node_disk_read_bytes_total", 'device="nvme0n1"', rising(now, 4e8)), ("node_disk_written_bytes_total", 'device="nvme0n1"', rising(now, 9e7)),
        ("node_network_receive_bytes_total", 'device="eth0"', rising(now, 3e8)), ("node_network_transmit_bytes_total", 'device="eth0"', rising(now, 1e8)),
        ("node_infiniband_port_data_received_bytes_total", 'device="mlx5_0",port="1"', rising(now, 8e9)),
        ("node_infiniband_port_data_transmitted_bytes_total", 'device="mlx5_0",port="1"', rising(now, 7e9)),
        ("accelmon_exporter_restarts_total", 'exporter="dcgm_exporter"', lambda age: int(node == "gpu02" and age < 9000)),
    ]
    for cpu in range(4):
        rows += [("node_cpu_info", f'cpu="{cpu}",package="{cpu // 2}"', lambda age: 1),
                 ("node_cpu_seconds_total", f'cpu="{cpu}",mode="idle"', rising(now, 0.35 + 0.1 * cpu)),
                 ("node_cpu_seconds_total", f'cpu="{cpu}",mode="user"', rising(now, 0.65 - 0.1 * cpu))]
    vendor, model, count, source = NODES[node][2:]
    if linked(model):
        rows += [("node_gpu_links", f'{FORMS["textfile"][2].format(Device(node, index))},kind="nvlink",state="active"',
                  lambda age, gone=(node, index) == GONE: None if gone and age < GONE_SINCE else 18) for index in range(count)]
    if source == "textfile":
        rows += [("accelmon_collector_last_success_timestamp_seconds", f'vendor="{vendor}"', lambda age: now - age - 12),
                 ("accelmon_collector_success", f'vendor="{vendor}"', lambda age: 1)]
    for device, code, since in ((GONE, 79, GONE_SINCE), (PENDING, 63, PENDING_SINCE)):
        if node == device[0]:
            labels = f'vendor="nvidia",pci_address="{Device(*device).address}",kind="xid",code="{code}"'
            rows += [("node_gpu_errors_total", labels, lambda age, since=since: int(age < since)),
                     ("node_gpu_error_last_timestamp_seconds", labels, lambda age, since=since: now - since if age < since else None)]
    return rows


# What the stack says of itself: {job: {series: reading of the time}}.
STACK = {
    "victoriametrics": {"vm_free_disk_space_bytes": lambda at: 800 * GIB - at % 864000 * 9000, "vm_data_size_bytes": lambda at: 40 * GIB + at % 864000 * 9000,
                        "vm_rows_added_to_storage_total": lambda at: at % 864000 * 900, "vm_rows_ignored_total": lambda at: 0,
                        "vm_rows_invalid_total": lambda at: 0, "vm_slow_row_inserts_total": lambda at: at % 864000 * 0.4},
    "vmagent": {"vm_promscrape_config_last_reload_successful": lambda at: 1, "vmagent_remotewrite_packets_dropped_total": lambda at: 0,
                "vm_persistentqueue_blocks_dropped_total": lambda at: 0, "vmagent_remotewrite_pending_data_bytes": lambda at: 2e4 + 1e4 * noise(at)},
    "vmalert": {"vmalert_config_last_reload_successful": lambda at: 1, "vmalert_execution_errors_total": lambda at: 0,
                "vmalert_iteration_missed_total": lambda at: 0, "vmalert_alerts_send_errors_total": lambda at: 0,
                "vmalert_remotewrite_dropped_rows_total": lambda at: 0},
    "alertmanager": {"alertmanager_config_last_reload_successful": lambda at: 1, "alertmanager_cluster_failed_peers": lambda at: 0,
                     'alertmanager_notifications_failed_total{integration="email"}': lambda at: 0},
}


def registries():
    """[registry] of the clusters."""
    made = []
    for cluster in sorted({node[0] for node in NODES.values()}):
        records = {}
        for node, (at, rack, vendor, model, count, source) in NODES.items():
            if at == cluster:
                elected = [exporter(elected=[vendor])] if source == "textfile" else [
                    exporter(), exporter(job="dcgm_exporter", port=9400, elected=[vendor], source="dcgm")]
                records[node] = record(node, cluster=cluster, labels={"rack": rack}, accelerators={vendor: {MODELS[model][0]: count}}, exporters=elected,
                                       links={"seen": {"nvlink": 18} if linked(model) else {}, "expected": {}})
        made.append(registry.merge(registry.empty(cluster), records, set(records), full_run=True)[0])
    return made


def chosen(now):
    """What somebody chose instead of the inventory."""
    choice = {"change": {"threshold": 90}, "by": "ana", "at": now - 7200, "until": now + 86400, "reason": "a fan is replaced on Monday"}
    return dict(choices.empty(), generation=1, alerts={"AcceleratorMemoryHot": choice})


def told(job, target, rows):
    """[(labels, reading)] that are stored of rows of a page. The page says the number of the row instead of a value."""
    page = "\n".join(f"{name}{{{labels}}} {place}" for place, (name, labels, _reading) in enumerate(rows))
    return [(labels, rows[int(place)][2]) for labels, place in expositions.stored(page, job, target)]


def device_rows(device, page, identity):
    """[(name, labels, reading by age)] of a device's page; one device is gone."""
    rows = [(name, ",".join(filter(None, [identity, more])), reading) for name, more, reading in page]
    if (device.node, device.index) == GONE:
        return [(name, labels, lambda age, reading=reading: reading(age) if age >= GONE_SINCE else None) for name, labels, reading in rows]
    return rows


def job_readings(target, device):
    """[(labels, reading by age)] of the job that a device has had for the last five hours."""
    place = {**target, "index": str(device.index), "uuid": device.uuid}
    names = dict(zip(("job_id", "user", "account", "partition"), JOBS[device.node]))
    its = {**place, "vendor": device.vendor, "job_id": names["job_id"]}
    return [({"__name__": name, **labels}, lambda age, value=value: value if age < 5 * 3600 else None) for name, labels, value in (
        ("accelerator_job_info", {**place, **names}, 1), ("accelerator_processes", its, 1), ("accelerator_process_memory_bytes", its, 61e9))]


def readings(now):
    """[(labels, reading by age)] of everything that was scraped; a reading may be None."""
    found = []
    for node, (cluster, rack, _vendor, _model, count, source) in NODES.items():
        target = {"cluster": cluster, "rack": rack, "node": node}
        found += told("node_exporter", target, host(node, now))
        job, form, identity = FORMS[source]
        for device in (Device(node, index) for index in range(count)):
            found += told(job, target, device_rows(device, form(device, now), identity.format(device)))
            if node in JOBS:
                found += job_readings(target, device)
        for name in sorted({"node_exporter", job}):
            port, samples = {"node_exporter": (9100, 1800), "dcgm_exporter": (9400, 900)}[name]
            found += scraped({**target, "job": name, "instance": f"{record(node)['address']}:{port}"}, samples)
    for job, series in STACK.items():
        target = {"cluster": "east", "node": "mon01", "job": job, "instance": f"{job}:1"}
        found += scraped(target, 400)
        for name, reading in series.items():
            labels = dict(expositions.rows(f"{name} 0")[0][0])
            found.append(({**labels, **target}, lambda age, reading=reading: reading(now - age)))
    for text in map(registry.series, registries()):
        # As scraped with honor_labels: the job of an elected source stays.
        found += [({"job": "accelmon_fleet", "instance": "mon01:1", **labels}, lambda age, value=float(value): value)
                  for labels, value in expositions.rows(text)]
    found.append(({"__name__": "accelmon_certificate_expiry_timestamp_seconds", "cluster": "east", "node": "mon01", "job": "node_exporter"},
                  lambda age: now + 300 * 86400))
    return found


def scraped(target, samples):
    """What a scraper says of a target; one target is down for an hour."""
    falls = target["node"] == "edge01" and target["job"] == "node_exporter"

    def up(age):
        return int(not (falls and 4 * 3600 < age < 5 * 3600))

    return [({"__name__": "up", **target}, up),
            ({"__name__": "scrape_duration_seconds", **target}, lambda age: 0.02 + 0.03 * noise(target["job"], target["node"], age)),
            ({"__name__": "scrape_samples_scraped", **target}, lambda age: samples * up(age))]


def imported(now):
    """Lines as VictoriaMetrics imports them."""
    ages = range(HOURS * 3600, -1, -STEP)
    for labels, reading in readings(now):
        samples = [(reading(age), (now - age) * 1000) for age in ages]
        samples = [(value, at) for value, at in samples if value is not None]
        if samples:
            values, times = zip(*samples)
            yield {"metric": labels, "values": values, "timestamps": times}
