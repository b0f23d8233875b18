# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The six dashboards: what each asks of the storage, and how it shows the answer.

What a range query reads is recorded for whole clusters, racks or nodes, or belongs to the few nodes that a variable names. Single devices of the
whole fleet are only asked for as they are now. What several of report, vmui and dashboards show is in the catalogue (views.yml).
"""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.error_series import EVENT, known
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.palette import HEAT
import panels
from panels import (
    ALARM, DEVICE_LEGEND, GOOD, NODE_LEGEND, NONE, NOTICE, PLAIN, column, lines, marked, marks, now, override, stat, state, steps, table, target)

VIEWS = load("views")
FLEET, NODE, ACCELERATOR, JOBS, ERRORS, MONITORING = (f"accelmon-{name}" for name in ("fleet", "node", "accelerator", "jobs", "errors", "monitoring"))

# The least distance of two points of a line that is made of all targets, or of an hour for each point.
COARSE = "1m"
# Why Prometheus refuses samples of a scrape.
REFUSED = ("out_of_order", "out_of_bounds", "duplicate_timestamp")
# Series that only dashboards show, and what exports them. Where it does not, the panel says so.
SHOWN = {
    "ALERTS": "the rule evaluator", "ALERTS_FOR_STATE": "the rule evaluator",
    "up": "every scrape", "scrape_duration_seconds": "every scrape", "scrape_samples_scraped": "every scrape",
    "node_cpu_info": "node_exporter with cpu.info", "node_cpu_seconds_total": "node_exporter",
    "node_disk_read_bytes_total": "node_exporter", "node_disk_written_bytes_total": "node_exporter",
    "node_infiniband_port_data_received_bytes_total": "node_exporter", "node_infiniband_port_data_transmitted_bytes_total": "node_exporter",
    "node_network_receive_bytes_total": "node_exporter", "node_network_transmit_bytes_total": "node_exporter",
    "prometheus_tsdb_head_samples_appended_total": "Prometheus", "prometheus_tsdb_storage_blocks_bytes": "Prometheus",
    "prometheus_tsdb_wal_storage_size_bytes": "Prometheus", **{f"prometheus_target_scrapes_sample_{why}_total": "Prometheus" for why in REFUSED},
    "all_smi_process_memory_used_bytes": "all-smi with all_smi_processes",
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL": "DCGM's exporter",
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": "DCGM's exporter", "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": "DCGM's exporter",
    "gpu_ecc_correct_xgmi_wafl": "AMD's exporter", "gpu_ecc_uncorrect_xgmi_wafl": "AMD's exporter",
}

# Matchers: of clusters' and racks' series, of nodes, of their devices, and of the nodes that a board for single nodes is about.
CLUSTERS = 'cluster=~"$cluster",vendor=~"$vendor"'
RACKS = 'cluster=~"$cluster",rack=~"$rack",vendor=~"$vendor"'
NODES = RACKS + ',node=~"$node"'
DEVICES = NODES + ',model=~"$model"'
HERE = 'cluster=~"$cluster",node=~"$node"'
CHOSEN = HERE + ',vendor=~"$vendor",index=~"$index"'
# From a row of a table to its node and its device.
DEVICE_LINKS = {"node": panels.link(NODE, "cluster", "node"), "index": panels.link(ACCELERATOR, "cluster", "node", "vendor", "index")}
# Labels by which series of a device are joined.
JOB = "cluster, node, index, uuid"

HEALTH = {100: ("good", GOOD), 70: ("slow", NOTICE), 40: ("to be drained", ALARM), 0: ("broken", ALARM)}
GRADES = {0: ("fatal", ALARM), 1: ("degraded", NOTICE)}
LOAD = panels.heat((VIEWS["busy"], 0.7, 0.9))
LOAD_HELP = VIEWS["devices"]["utilization"]["help"] + " Below 10 % a device counts as idle."
DISK = steps((0.7, NOTICE), (0.85, ALARM), first=GOOD)
ANY = steps((1, ALARM), first=GOOD)
OFTEN = steps((1, NOTICE), first=GOOD)
NO_JOBS = "no job data"
JOB_HELP = "Jobs are known where a scheduler integration writes accelerator_job_info; without one, this panel has no data."


def asked(part, name, nodes=DEVICES, clusters=CLUSTERS):
    """The query of a view of the catalogue."""
    return VIEWS[part][name]["query"].replace("@nodes@", nodes).replace("@clusters@", clusters).replace("@step@", "$__rate_interval")


# There while rules are evaluated.
WATCHDOG = 'ALERTS{alertstate="firing",alertname="Watchdog"}'


def firing(severity, where):
    """How many alerts of a severity fire; nothing where no rules are evaluated, which the watchdog tells."""
    return (f'count(ALERTS{{alertstate="firing",severity="{severity}",alertname!="Watchdog",{where}}})\n'
            f"or 0 * max({WATCHDOG})")


def alert_table(where, labels, size=(24, 8)):
    """The alerts that fire, the newest first."""
    since = f'ALERTS_FOR_STATE{{alertname!="Watchdog",{where}}} * 1000 and ignoring (alertstate) ALERTS{{alertstate="firing"}}'
    return table("Alerts that fire", "The newest 100. No row means that no alert fires, or that no rules are evaluated: see the number of alerts above.",
                 [(f"topk(100, max by (alertname, severity, {', '.join(labels)}) ({since}))", column("Since", "moment"))],
                 ["severity", "alertname", *labels], size, {"node": panels.link(NODE, "cluster", "node")} if "node" in labels else None,
                 {"alertname": "Alert", "severity": "Severity"}, "Since", NONE)


def expected():
    """How many devices are expected of each node that is neither in maintenance nor retired. Racks are only in the other series."""
    return (f'max by (cluster, node, vendor) (accelmon_expected_accelerators{{{CLUSTERS},node=~"$node"}})\n'
            f'and on (cluster, node) accelmon_fleet_node_info{{{HERE},rack=~"$rack",state!~"maintenance|retired"}}')


def present(wanted, where=NODES):
    """How many devices each node shows, and 0 where some are wanted and none is there. While no rules are evaluated none is recorded, which says nothing."""
    return f"(sum by (cluster, node, vendor) (node:accelerator_info:count{{{where}}})\nor 0 * ({wanted}) and on () {WATCHDOG})"


def missing():
    """How many devices each node shows too few: 0 where all are there."""
    return f"clamp_min(\n({expected()})\n- {present(expected())}, 0)"


def device_table(title, about, where, links, places=("cluster", "rack", "node")):
    """All devices with what is known of them."""
    views = VIEWS["devices"]
    shown = {
        "health": state("Health", panels.names(HEALTH)),
        "utilization": panels.level("Busy"),
        "memory": panels.level("Memory"),
        "temperature": marked("Chip", "celsius", marks(views["temperature"])),
        "memory_temperature": marked("Memory temp.", "celsius", marks(views["memory_temperature"])),
        "power": column("Power", "watts"),
    }
    by = ", ".join([*places, "vendor", "index", "model"])
    return table(title, about, [(f"max by ({by}) ({asked('devices', name, where)})", how) for name, how in shown.items()],
                 [*places, "vendor", "index", "model"], (24, 14), links)


def fault_table(where):
    """What is wrong with which device."""
    return table("What is wrong", "Components of the health score that are fatal or degraded, at most 100 of them. Missing devices and errors of devices "
                 "that are not seen any more belong to their node and have no index. Nothing is found either if no rules are evaluated.",
                 [(f"bottomk(100, max by (cluster, node, vendor, index, component) ({asked('rows', 'faults', where)}))", state("State", panels.names(GRADES)))],
                 ["cluster", "node", "vendor", "index", "component"], (12, 8), DEVICE_LINKS, {"component": "Component"},
                 nothing=NONE)


def trend(name, more=(), **options):
    """A view of the catalogue over time, one line for each cluster and vendor."""
    view = VIEWS["trends"][name]
    bounds = {key: view[name] for key, name in (("min", "least"), ("max", "most")) if name in view}
    return lines(view["title"], view.get("help", "") + " Of clusters and vendors; racks, models and nodes do not narrow it.",
                 [target(asked("trends", name), "{{cluster}} {{vendor}}"), *more], view["unit"], **{**bounds, **options})


def percentile(series, which):
    """A percentile of the devices of a cluster over time."""
    return target(f"cluster:{series}:{which}{{{CLUSTERS}}}", "{{cluster}} {{vendor}} " + which)


def idle_hours():
    """Device-hours within the time range in which a device was less than a tenth busy. A point for every minute is a sixtieth of an hour."""
    idle = f'sum by (cluster, vendor) (cluster:accelerator_utilization_ratio:buckets{{percent="0",{CLUSTERS}}})'
    return f"sum_over_time(({idle})[$__range:1m]) / 60"


def in_use(how):
    """How many devices are busy, or free, of each model on each node."""
    return f"model:accelerator_utilization_ratio:{how}{{{DEVICES}}}"


def fleet():
    """What is there, what it does, what needs attention."""
    temperature = marks(VIEWS["devices"]["temperature"])
    watts = f"sum_over_time((sum(cluster:accelerator_power_watts:sum{{{CLUSTERS}}}))[$__range:1m]) / 60"
    by_model, by_rack = "cluster, vendor, model", "cluster, rack, vendor"
    with_job = f"on ({JOB}) accelerator_job_info"
    busy_ones = f"sum by ({by_model}) ({in_use('busy')})"
    percents = [override(f"{10 * place} %", color={"mode": "fixed", "fixedColor": colour}) for place, colour in enumerate([*HEAT, ALARM][:11])]
    return panels.board(FLEET, "Fleet", "All accelerators: what is there, what it does, and what needs attention.", [
        panels.variable("cluster", "accelmon_fleet_node_info"),
        panels.variable("rack", 'accelmon_fleet_node_info{cluster=~"$cluster"}'),
        panels.variable("vendor", 'node:accelerator_info:count{cluster=~"$cluster"}'),
        panels.variable("model", f"accelerator_info{{{RACKS}}}"),
        panels.variable("node", 'accelmon_fleet_node_info{cluster=~"$cluster",rack=~"$rack"}'),
    ], [
        ("Now", [
            stat("Present now", "Accelerators that their exporters see. n/a if no rules are evaluated. Models do not narrow it.",
                 [now(f"sum({present(expected())})")], size=(6, 4)),
            stat("Expected", "Accelerators that the registry expects of nodes that are neither in maintenance nor retired.", [now(f"sum({expected()})")],
                 size=(6, 4)),
            stat("Missing", "Accelerators that are expected and not seen. n/a if no rules are evaluated.", [now(f"sum({missing()})")], size=(6, 4),
                 thresholds=ANY),
            stat("Busy now", f"Accelerators that are busy for at least {VIEWS['busy']:.0%} of the time, once a minute.", [now(f"sum({in_use('busy')})")],
                 size=(6, 4)),
            stat("Nodes up", "Nodes whose node_exporter answers, of the nodes in the registry.", [
                now(f'sum(max by (cluster, node) (up{{job="node_exporter",{HERE},rack=~"$rack"}}))', "up"),
                now(f'count(group by (cluster, node) (accelmon_fleet_node_info{{{HERE},rack=~"$rack"}}))', "registered")], size=(8, 4)),
            stat("Critical alerts", "Critical alerts that fire. n/a if no rules are evaluated.", [now(firing("critical", 'cluster=~"$cluster|"'))], size=(4, 4),
                 thresholds=ANY),
            stat("Warnings", "Warnings that fire. n/a if no rules are evaluated.", [now(firing("warning", 'cluster=~"$cluster|"'))], size=(4, 4),
                 thresholds=OFTEN),
            stat("Power now", VIEWS["devices"]["power"]["help"] + " Models do not narrow it.", [now(f"sum(node:accelerator_power_watts:sum{{{NODES}}})")],
                 "watts", size=(4, 4)),
            stat("Energy", "Energy of all accelerators within the time range, from their power. Times without a reading are not in it. Racks, models and nodes "
                 "do not narrow it.", [now(watts)], "watt hours", size=(4, 4)),
        ]),
        ("What needs attention", [
            fault_table(DEVICES),
            table("Missing accelerators", "Nodes that show fewer accelerators than expected, at most 100 of them. None is found either if no rules are "
                  "evaluated.",
                  [(f"topk(100, {missing()} > 0)", column("Missing"))], ["cluster", "node", "vendor"], (12, 8),
                  {"node": panels.link(NODE, "cluster", "node")}, sort="Missing", nothing=NONE),
            alert_table('cluster=~"$cluster|"', ["cluster", "node", "vendor"]),
        ]),
        ("Every device", [
            panels.grid("Busy: $cluster", LOAD_HELP, asked("devices", "utilization"), "ratio", LOAD, NODE, min=0, max=1, decimals=0),
            panels.grid("Health: $cluster", "100: nothing is wrong with what is known. 70: the device is slow. 40: take it out of service at the next drain. "
                        "0: do not use it. n/a: nothing is known.", asked("devices", "health"), "score", marks(VIEWS["devices"]["health"]), NODE),
        ]),
        ("The last hours, by cluster and vendor", [
            trend("missing"),
            trend("utilization", [percentile("accelerator_utilization_ratio", "p50"), percentile("accelerator_utilization_ratio", "p95")], thresholds=LOAD),
            trend("memory"),
            trend("temperature", [percentile("accelerator_temperature_celsius", "p50"), percentile("accelerator_temperature_celsius", "p95")],
                  thresholds=temperature),
            trend("power"),
            lines("How many are how busy", "Number of devices by how busy they are: 0 % is 0 to 10 %, and so on.",
                  [target(f"sum by (percent) (cluster:accelerator_utilization_ratio:buckets{{{CLUSTERS}}})", "{{percent}} %")], "count", stack=True,
                  overrides=percents, min=0),
            lines("Links between devices", "NVLink and XGMI links that are active and, where that is known, inactive. Whether a device has fewer than expected "
                  "is on its dashboard.",
                  [target(f"sum by (cluster, kind, state) (cluster:accelerator_links:sum{{{CLUSTERS}}})", "{{cluster}} {{kind}} {{state}}")], "count", (24, 8),
                  min=0),
        ]),
        ("Use", [
            stat("Idle accelerator-hours",
                 "Hours within the time range in which a device was less than 10 % busy, added up. Racks, models and nodes do not narrow it.",
                 [now(idle_hours(), "{{cluster}} {{vendor}}")], "count", (8, 8)),
            table("By model", "Busy as everywhere here. Free: not busy, and no job has it. n/a: nothing says so. " + JOB_HELP, [
                (f"count by ({by_model}) (accelerator_info{{{DEVICES}}})", column("Present")),
                (busy_ones, column("Busy")),
                # No device of a model is so where that can be known: how busy they are, and which jobs there are.
                (f"sum by ({by_model}) ({in_use('free')})\nor 0 * {busy_ones}", column("Free")),
                (f"count by ({by_model}) (accelerator_info{{{DEVICES}}} and {with_job})\n"
                 f'or 0 * {busy_ones} and on (cluster) job:accelerator_job_info:count{{cluster=~"$cluster"}}', column("In jobs")),
            ], ["cluster", "vendor", "model"], (16, 8), sort="Present"),
            table("Racks", "The 50 racks that draw most. A node without a rack is in none.", [
                (f"topk(50, sum by ({by_rack}) (rack:accelerator_power_watts:sum{{{RACKS}}}))", column("Power", "watts")),
                (f"sum by ({by_rack}) (rack:accelerator_info:count{{{RACKS}}})", column("Present")),
                (f"max by ({by_rack}) (rack:accelerator_utilization_ratio:avg{{{RACKS}}})", panels.level("Busy")),
                (f"max by ({by_rack}) (rack:accelerator_temperature_celsius:max{{{RACKS}}})", marked("Hottest chip", "celsius", temperature)),
            ], ["cluster", "rack", "vendor"], (12, 8), sort="Power"),
            table("Driver versions", "Devices by the version of their driver, where the source knows it.",
                  [(f"count by ({by_model}, driver_version) (accelerator_info{{{DEVICES}}})", column("Devices"))],
                  ["cluster", "vendor", "model", "driver_version"], (12, 8), heads={"driver_version": "Driver"}, sort="Devices"),
        ]),
        ("All devices", [
            device_table("Devices", "Every device that the variables choose, as it is now. n/a: its source does not say. Click a node or an index.",
                         DEVICES, DEVICE_LINKS),
        ], panels.CLOSED),
    ])


def rate(series, where=HERE):
    """What a counter rises by in a second."""
    return f"rate({series}{{{where}}}[$__rate_interval])"


def host_panels():
    """The node around the devices."""
    own_disk = 'fstype=~"ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs",job="node_exporter"'
    wired = 'device!~"lo|veth.*|docker.*|cni.*|virbr.*|br-.*|tap.*"'
    idle = rate("node_cpu_seconds_total", f'mode="idle",{HERE}')
    socket = "topk by (cluster, node, cpu) (1, node_cpu_info{%s})" % HERE
    return [
        lines("Processors", "Share of time in which they were busy: of the node and, with node_exporter's collector cpu.info, of each socket.", [
            target(f"1 - avg by (cluster, node) ({idle})", NODE_LEGEND),
            target(f"1 - avg by (cluster, node, package) ({idle} * on (cluster, node, cpu) group_left (package) {socket})", "{{node}} socket {{package}}")],
            "ratio", min=0, max=1, thresholds=steps((0.7, NOTICE), (0.9, ALARM), first=PLAIN)),
        lines("Memory of the node", "Memory in use, and all there is (dashed).", [
            target(f"max by (cluster, node) (node_memory_MemTotal_bytes{{{HERE}}} - node_memory_MemAvailable_bytes{{{HERE}}})", NODE_LEGEND),
            target(f"max by (cluster, node) (node_memory_MemTotal_bytes{{{HERE}}})", NODE_LEGEND + " total")], "bytes", reference="B", min=0),
        panels.bars("File systems", "Used share of the node's own file systems, the six fullest.", [
            now(f"topk(6, max by (cluster, node, mountpoint) (1 - node_filesystem_avail_bytes{{{HERE},{own_disk}}} / "
                f"node_filesystem_size_bytes{{{HERE},{own_disk}}}))", "{{node}} {{mountpoint}}")], "ratio", thresholds=DISK, min=0, max=1),
        lines("Disks", "Bytes read from and written to all disks.", [
            target(f"sum by (cluster, node) ({rate('node_disk_read_bytes_total')})", NODE_LEGEND + " read"),
            target(f"sum by (cluster, node) ({rate('node_disk_written_bytes_total')})", NODE_LEGEND + " written")], "bytes per second", min=0),
        lines("Network", "Bytes over the network, without loopback, bridges and interfaces of containers.", [
            target(f"sum by (cluster, node) ({rate('node_network_receive_bytes_total', f'{HERE},{wired}')})", NODE_LEGEND + " received"),
            target(f"sum by (cluster, node) ({rate('node_network_transmit_bytes_total', f'{HERE},{wired}')})", NODE_LEGEND + " sent")],
            "bytes per second", min=0),
        lines("InfiniBand", "Bytes over all InfiniBand ports. No data: the node has none.", [
            target(f"sum by (cluster, node) ({rate('node_infiniband_port_data_received_bytes_total')})", NODE_LEGEND + " received"),
            target(f"sum by (cluster, node) ({rate('node_infiniband_port_data_transmitted_bytes_total')})", NODE_LEGEND + " sent")],
            "bytes per second", min=0),
    ]


def device_lines(where):
    """Lines of single devices, next to their limits."""
    views, same = VIEWS["devices"], "cluster, node, vendor, index"
    return [
        lines("Busy", LOAD_HELP + " DCGM does not report it for a device in MIG mode.",
              [target(f"max by ({same}) ({asked('devices', 'utilization', where)})", DEVICE_LEGEND)], "ratio", min=0, max=1, thresholds=LOAD),
        lines("Memory", "Device memory in use, and all there is (dashed).", [
            target(f"max by ({same}) (accelerator_memory_used_bytes{{{where}}})", DEVICE_LEGEND),
            target(f"max by ({same}) (accelerator_memory_total_bytes{{{where}}})", DEVICE_LEGEND + " total")], "bytes", reference="B", min=0),
        lines("Temperature", "Of each chip and of the hottest memory, where reported. Dashed: where the device slows down, if DCGM or all-smi tell it.", [
            target(f"max by ({same}) ({asked('devices', 'temperature', where)})", DEVICE_LEGEND),
            target(f"max by (cluster, node, vendor) ({asked('devices', 'memory_temperature', where)})", NODE_LEGEND + " {{vendor}} hottest memory"),
            target(f"max by ({same}) (DCGM_FI_DEV_SLOWDOWN_TEMP{{{where}}} > 30 or all_smi_gpu_temperature_threshold_slowdown_celsius{{{where}}} > 30)",
                   DEVICE_LEGEND + " slows down")], "celsius", reference="C", thresholds=marks(views["temperature"])),
        lines("Power", views["power"]["help"] + " Dashed: the power limit.", [
            target(f"max by ({same}) ({asked('devices', 'power', where)})", DEVICE_LEGEND),
            target(f"max by ({same}) ({asked('devices', 'power_limit', where)})", DEVICE_LEGEND + " limit")], "watts", reference="B", min=0),
        lines("Clock", "Clock of the compute units. An idle device lowers it.",
              [target(f"max by ({same}) (accelerator_clock_hertz{{{where}}})", DEVICE_LEGEND)], "hertz", min=0),
        lines("Held down", "Share of time in which heat held the clock down. Known from the textfile collector, DCGM's exporter with "
              "DCGM_FI_DEV_THERMAL_VIOLATION, and AMD's exporter.", [target(
                  f'max by ({same}) (rate(node_gpu_throttle_seconds_total{{reason=~"(hw|sw)_thermal_slowdown",{where}}}[$__rate_interval])\n'
                  f"or rate(DCGM_FI_DEV_THERMAL_VIOLATION{{{where}}}[$__rate_interval]) / 1000000000\n"
                  f"or gpu_violation_socket_thermal_residency_percentage{{{where}}} / 100)", DEVICE_LEGEND)], "ratio", min=0, max=1),
    ]


def link_lines(where):
    """The links between devices, their errors, and those of the links to the host."""
    same, dcgm = "cluster, node, vendor, index", "DCGM_FI_DEV_NVLINK_%s_ERROR_COUNT_TOTAL"
    links = {"NVLink": [dcgm % what for what in ("CRC_FLIT", "CRC_DATA", "REPLAY", "RECOVERY")],
             "XGMI": ["gpu_ecc_correct_xgmi_wafl", "gpu_ecc_uncorrect_xgmi_wafl"]}
    found = []
    for kind, counters in links.items():
        rises = " or ".join(f'label_replace(increase({series}{{{where}}}[$__rate_interval]), "of", "{place}", "", "")' for place, series in enumerate(counters))
        found.append(f'label_replace(sum by ({same}) ({rises}), "kind", "{kind}", "", "")')
    return [
        lines("Links to other devices", "Active NVLink and XGMI links of each device, and how many are expected (dashed).", [
            target(f'max by ({same}, kind) (accelerator_links{{state="active",{where}}})', DEVICE_LEGEND + " {{kind}}"),
            target(f'max by (cluster, node, kind) (accelmon_expected_links{{kind!="infiniband",{HERE}}})', NODE_LEGEND + " {{kind}} expected")],
            "count", reference="B", min=0),
        lines("NVLink and XGMI errors", "Errors of the links between devices, corrected ones too. Known from DCGM's and AMD's exporters.",
              [target("\nor ".join(found), DEVICE_LEGEND + " {{kind}}")], "count", min=0),
        lines("PCIe replays", "Packets that were sent again to or from the host. Known from the textfile collector and DCGM's exporter.",
              [target(f"max by ({same}) (rate(node_gpu_pcie_replays_total{{{where}}}[$__rate_interval])\n"
                      f"or rate(DCGM_FI_DEV_PCIE_REPLAY_COUNTER{{{where}}}[$__rate_interval]))", DEVICE_LEGEND)], "per second", min=0),
        lines("NVLink traffic", "What arrives and leaves on all NVLinks of a device. Known where DCGM's list of counters has it.",
              [target(f'max by ({same}) (accelerator_link_bytes_per_second{{direction="{direction}",{where}}})', f"{DEVICE_LEGEND} {direction}")
               for direction in ("receive", "transmit")], "bytes per second", (16, 8), min=0),
        lines("NVLink bit errors", "Share of wrong bits on a device's NVLinks that its corrections left. Known where DCGM's list of counters has it.",
              [target(f"max by ({same}) (accelerator_link_symbol_error_ratio{{{where}}})", DEVICE_LEGEND)], "exponent", min=0),
    ]


def new_errors(where):
    """How many errors were added, by code.

    A counter begins with the first error, which Prometheus does not take for an increase. A device that is not seen any more loses its index and keeps
    its address.
    """
    devices = f"max by ({', '.join(EVENT)})"
    total, before = f"accelerator_errors_total{{{where}}}", f"last_over_time(accelerator_errors_total{{{where}}}[1h] offset $__rate_interval)"
    return (f"sum by (kind, code) (\n{devices} ({total}) - {devices} ({before}) > 0\n"
            f"or {devices} ({total}) unless {devices} ({before}))")


def error_table(title, about, by, labels, where, size=(24, 8)):
    """Error codes with what the catalogue knows of them; a code that it does not know keeps its row."""
    def explained(query):
        # Every query the same way: rows whose labels differ are not joined.
        return f"(({query}) * on (kind, code) group_left (title, class, action) {known('')}\nor ({query}) unless on (kind, code) {known('')})"

    return table(title, about, [
        (f"topk(100, {explained(f'sum by ({by}) (accelerator_errors_total{{{where}}}) > 0')})", column("Times")),
        (explained(f"(max by ({by}) (accelerator_error_last_timestamp_seconds{{{where}}}) > 0) * 1000"), column("Last", "moment")),
        (explained(f"count by ({by}) (accelerator_errors_total{{{where}}} > 0)"), column("Devices")),
    ], labels, size, None, {"kind": "Kind", "code": "Code", "title": "Meaning", "class": "Class", "action": "What to do"}, "Last", NONE)


def node():
    """A node, or a few of them side by side."""
    links = {"index": DEVICE_LINKS["index"]}
    users = "node, vendor, index, job_id, unit"
    wanted = f"max by (cluster, node, vendor) (accelmon_expected_accelerators{{{HERE}}})"
    return panels.board(NODE, "Node", "One node or a few: devices, processors, memory, disks, network.", [
        panels.variable("cluster", "accelmon_fleet_node_info", several=False, everything=False),
        panels.variable("node", 'accelmon_fleet_node_info{cluster=~"$cluster"}', everything=False),
    ], [
        ("Now", [
            stat("Present", "Accelerators that their exporters see. n/a if no rules are evaluated.",
                 [now(f"sum by (node) ({present(wanted, HERE)})", NODE_LEGEND)]),
            stat("Expected", "Accelerators that the registry expects.", [now(f"sum by (node) ({wanted})", NODE_LEGEND)]),
            stat("Health", "Score of the worst component of the worst device. n/a: nothing is known.",
                 [now(f"min by (node) (node:accelerator_health_score:min{{{HERE}}})", NODE_LEGEND)], "score",
                 thresholds=marks(VIEWS["devices"]["health"])),
            stat("Power now", "Power of the node's accelerators.", [now(f"sum by (node) (node:accelerator_power_watts:sum{{{HERE}}})", NODE_LEGEND)], "watts"),
            stat("Alerts", "Critical alerts and warnings that fire. n/a if no rules are evaluated.",
                 [now(firing("critical", HERE), "critical"), now(firing("warning", HERE), "warning")], thresholds=OFTEN,
                 overrides=[override("critical", thresholds=ANY)]),
            stat("Running since", "When the node booted.", [now(f"max by (node) (node_boot_time_seconds{{{HERE}}}) * 1000", NODE_LEGEND)], "moment"),
        ]),
        ("Devices", [
            device_table("Devices", "The devices of the node as they are now. n/a: the source does not say. Click an index.", HERE, links, ["cluster", "node"]),
            fault_table(HERE),
            alert_table(HERE, ["node", "vendor"], (12, 8)),
            *device_lines(HERE), *link_lines(HERE),
            table("Memory by job", "Jobs and systemd units whose processes use the devices, the 50 that hold most memory. Known with accelmon_processes: true.",
                  [(f"topk(50, max by ({users}) (accelerator_process_memory_bytes{{{HERE}}}))", column("Memory", "bytes")),
                   (f"topk(50, max by ({users}) (accelerator_processes{{{HERE}}}))", column("Processes")),
                   (f"topk(50, max by ({users}) (accelerator_process_engine_ratio{{{HERE}}}))", panels.level("Busy"))],
                  users.split(", "), (24, 8), None, {"job_id": "Job", "unit": "Unit"}, "Memory"),
            table("Processes", "Processes on the devices, the 50 that hold most device memory. Known where all-smi runs with all_smi_processes: true.",
                  [("topk(50, max by (node, gpu_index, user, name, pid) (all_smi_process_memory_used_bytes{%s}))" % HERE, column("Memory", "bytes"))],
                  ["node", "gpu_index", "user", "name", "pid"], (24, 8), None, {"gpu_index": "Index", "user": "User", "name": "Process", "pid": "PID"},
                  "Memory"),
        ]),
        ("Node", host_panels()),
        ("Exporters", [
            panels.timeline("Exporters", "Whether each exporter of the node answers.",
                            [target(f"max by (cluster, node, job) (up{{{HERE}}})", "{{node}} {{job}}")],
                            (12, 8), panels.names({1: ("up", GOOD), 0: ("down", ALARM)})),
            lines("Age of the textfile collector's readings", "Seconds since the collector last read the devices of a vendor. No data: it does not run here.",
                  [target(f"time() - max by (cluster, node, vendor) (accelmon_collector_last_success_timestamp_seconds{{{HERE}}})", "{{node}} {{vendor}}")],
                  "seconds", (12, 8), min=0),
        ]),
    ])


def accelerator():
    """One device, or a few of one node."""
    by = "node, index, kind, code"
    identity = "node, index, vendor, model, driver_version, serial, pci_bus_id, uuid"
    errors = {"name": "Errors", "datasource": panels.DATASOURCE, "enable": True, "hide": False, "iconColor": ALARM, "useValueForTime": True,
              "expr": f"(max by (node, index, kind, code) (accelerator_error_last_timestamp_seconds{{{CHOSEN}}}) > 0) * 1000",
              "titleFormat": "{{kind}} {{code}}", "textFormat": "{{node}} {{index}}", "tagKeys": "kind,code", "step": "60s"}
    return panels.board(ACCELERATOR, "Accelerator", "One device of a node, or a few of them: identity, readings against their limits, errors.", [
        panels.variable("cluster", "accelmon_fleet_node_info", several=False, everything=False),
        panels.variable("node", 'node:accelerator_info:count{cluster=~"$cluster"}', several=False, everything=False),
        panels.variable("vendor", f"node:accelerator_info:count{{{HERE}}}", several=False, everything=False),
        panels.variable("index", f'accelerator_info{{{HERE},vendor=~"$vendor"}}'),
    ], [
        ("Now", [
            table("Identity", "What the source knows of the device. An empty cell: it does not say.",
                  [(f"max by ({identity}) (accelerator_info{{{CHOSEN}}})", None)], identity.split(", "), (24, 5), None,
                  {"driver_version": "Driver", "serial": "Serial number", "pci_bus_id": "PCI address", "uuid": "UUID"}),
            *(stat(VIEWS["devices"][name]["title"] + " now", VIEWS["devices"][name]["help"], [now(asked("devices", name, CHOSEN), DEVICE_LEGEND)],
                   VIEWS["devices"][name]["unit"], size=(6, 4), thresholds=marks(VIEWS["devices"][name]))
              for name in ("health", "known", "utilization", "temperature")),
        ]),
        ("Health and errors", [
            panels.timeline("Components that are not well", "Components of the health score; no bar where a component is well or unknown.",
                            [target(f"max by (node, vendor, index, component) ({asked('rows', 'faults', CHOSEN)})", DEVICE_LEGEND + " {{component}}")],
                            (12, 8), panels.names(GRADES)),
            lines("Uncorrected memory errors", "Since the driver was loaded.",
                  [target(f"max by (cluster, node, vendor, index) (accelerator_ecc_errors_total{{{CHOSEN}}})", DEVICE_LEGEND)], "count", (6, 8), min=0),
            panels.timeline("Row remapping", "Whether rows of memory are to be remapped at the next reset, or could not be. No data: the source does not say.",
                            [target(f"max by (cluster, node, vendor, index) (accelerator_row_remap_state{{{CHOSEN}}})", DEVICE_LEGEND)], (6, 8),
                            panels.names({0: ("none", GOOD), 1: ("reset due", NOTICE), 2: ("failed", ALARM)})),
            error_table("Errors", "Error codes of the device since its log was first read.", by,
                        ["node", "index", "kind", "code", "title", "class", "action"], CHOSEN),
        ]),
        ("Job", [
            panels.timeline("Who had it", JOB_HELP, [target(
                'max by (node, index, job_id, user, account, partition) (accelerator_job_info{cluster=~"$cluster",node=~"$node",index=~"$index"})',
                "{{node}} {{index}} job {{job_id}} {{user}}")], (24, 6), panels.names({1: ("job", HEAT[7])})),
        ]),
        ("Readings", [*device_lines(CHOSEN), *link_lines(CHOSEN),
                      lines("Power by the energy counter", "What the device's own counter of energy rises by. The textfile collector does not report it.",
                            [target(f"max by (cluster, node, vendor, index) (rate(accelerator_energy_joules_total{{{CHOSEN}}}[$__rate_interval]))",
                                    DEVICE_LEGEND)],
                            "watts", (24, 8), min=0)]),
    ], annotations=[errors])


def jobs():
    """Who has which devices, and what is done with them."""
    owned = 'cluster=~"$cluster",partition=~"$partition",account=~"$account",user=~"$user"'
    chosen = owned + ',job_id=~"$job_id"'
    payers = "cluster, partition, account, user"
    labels = payers + ", job_id"
    held = f"max by ({JOB}, user, job_id) (accelerator_job_info{{{chosen}}})"
    busy = f"{VIEWS['busy']:g}"

    def recorded(name):
        """What is recorded of each job, once a minute."""
        return f"max by ({labels}) (job:{name}{{{chosen}}})"

    def of_devices(query):
        """A reading of devices with the jobs that have them."""
        return f"max by (cluster, node, index, user, job_id) ({held} * on ({JOB}) group_left () max by ({JOB}) ({query}))"

    def of_all(query, how):
        """A reading of all devices that jobs have, each of them once."""
        return f"{how} by (cluster) ({query} and on ({JOB}) accelerator_job_info{{{chosen}}})"

    utilization, power = (asked("devices", name, 'cluster=~"$cluster"') for name in ("utilization", "power"))
    shared = "Recorded once a minute. A device that several jobs share counts for each of them."
    none = {"noValue": NO_JOBS}
    return panels.board(JOBS, "Jobs", "Who has which accelerators, and what is done with them. " + JOB_HELP, [
        # One series for each job, while accelerator_job_info has one for each of its devices.
        panels.variable("cluster", "job:accelerator_job_info:count"),
        panels.variable("partition", 'job:accelerator_job_info:count{cluster=~"$cluster"}'),
        panels.variable("account", 'job:accelerator_job_info:count{cluster=~"$cluster",partition=~"$partition"}'),
        panels.variable("user", 'job:accelerator_job_info:count{cluster=~"$cluster",partition=~"$partition",account=~"$account"}'),
        panels.variable("job_id", f"job:accelerator_job_info:count{{{owned}}}", label="Job"),
    ], [
        ("Now", [
            stat("Jobs", "Jobs that have accelerators, once a minute. " + JOB_HELP,
                 [now(f"count(group by (cluster, job_id) (job:accelerator_job_info:count{{{chosen}}}))")], **none),
            stat("In jobs", "Accelerators that jobs have.", [now(f"count(group by ({JOB}) (accelerator_job_info{{{chosen}}}))")], **none),
            stat("Really busy", "Those of them that are busy for at least 10 % of the time.",
                 [now(of_all(f"({utilization} >= bool {busy})", "sum"), "{{cluster}}")], **none),
            stat("How busy", "Average over the accelerators that jobs have. " + shared, [
                now(f"sum by (cluster) ({recorded('accelerator_utilization_ratio:avg')} * {recorded('accelerator_job_info:count')})\n"
                    f"/ sum by (cluster) ({recorded('accelerator_job_info:count')} and {recorded('accelerator_utilization_ratio:avg')})", "{{cluster}}")],
                 "ratio", max=1, min=0, **none),
            stat("Power", "Power of the accelerators that jobs have.", [now(of_all(power, "sum"), "{{cluster}}")], "watts",
                 **none),
            stat("Nodes", "Nodes with jobs.", [now(f"count(group by (cluster, node) (accelerator_job_info{{{chosen}}}))")], **none),
        ]),
        ("Jobs", [
            table("Largest jobs", "The 100 jobs with most accelerators, and the readings of these. " + shared, [
                (f"topk(100, {recorded('accelerator_job_info:count')})", column("Devices")),
                (recorded("accelerator_utilization_ratio:avg"), panels.level("Busy")),
                (f"{recorded('accelerator_memory_used_bytes:sum')} / {recorded('accelerator_memory_total_bytes:sum')}", panels.level("Memory")),
                (recorded("accelerator_temperature_celsius:max"), marked("Hottest chip", "celsius", marks(VIEWS["devices"]["temperature"]))),
                (recorded("accelerator_power_watts:sum"), column("Power", "watts")),
            ], labels.split(", "), (24, 10), None, {"partition": "Partition", "account": "Account", "user": "User", "job_id": "Job"}, "Devices"),
            table("Idle in jobs", "Devices that a job has and that are less than 10 % busy, the 100 idlest.",
                  [(f"bottomk(100, {of_devices(f'{utilization} < {busy}')})",
                    column("Busy", "ratio"))], ["cluster", "node", "index", "user", "job_id"], (24, 10),
                  {"node": panels.link(NODE, "cluster", "node")}, {"user": "User", "job_id": "Job"}),
        ]),
        ("Within the time range", [
            table("Accelerator-hours", "Hours in which jobs had devices, and in which these were idle. Jobs do not narrow it. " + shared, [
                (f"topk(100, sum_over_time((sum by ({payers}) (user:accelerator_job_info:count{{{owned}}}))[$__range:1m]) / 60)", column("Hours")),
                (f"sum_over_time((sum by ({payers}) (user:accelerator_job_info:idle{{{owned}}}))[$__range:1m]) / 60", column("Idle hours"))],
                payers.split(", "), (24, 10), None, {"partition": "Partition", "account": "Account", "user": "User"}, "Hours"),
        ]),
        ("Devices of the jobs", [
            table("Devices of the jobs", "At most 100 devices.", [
                (f"topk(100, {of_devices(utilization)})", panels.level("Busy"))],
                ["cluster", "node", "index", "user", "job_id"], (24, 10), {"node": panels.link(NODE, "cluster", "node")}, {"user": "User", "job_id": "Job"}),
        ], panels.CLOSED),
    ])


def errors():
    """Error codes and their meaning, and what else is not as it has to be."""
    where = NODES + ',kind=~"$kind",code=~"$code"'
    links = DEVICE_LINKS
    stragglers = [f"label_replace(max by (cluster, node, vendor, index) ({level}:{series}:straggler{{{NODES}}}),"
                  f' "reading", "{word} among devices of the {level}", "", "")'
                  for level in ("node", "job") for series, word in (
                      ("accelerator_clock_hertz", "slow"), ("accelerator_power_watts", "little power"), ("accelerator_temperature_celsius", "hot"))]
    return panels.board(ERRORS, "Errors", "Error codes of devices with their meaning, memory errors, and devices that differ from their peers.", [
        panels.variable("cluster", "accelmon_fleet_node_info"),
        panels.variable("rack", 'accelmon_fleet_node_info{cluster=~"$cluster"}'),
        panels.variable("vendor", 'node:accelerator_info:count{cluster=~"$cluster"}'),
        panels.variable("node", 'accelmon_fleet_node_info{cluster=~"$cluster",rack=~"$rack"}'),
        panels.variable("kind", 'accelerator_errors_total{cluster=~"$cluster"}'),
        panels.variable("code", 'accelerator_errors_total{cluster=~"$cluster",kind=~"$kind"}'),
    ], [
        ("Codes", [
            error_table("By code", "Counted since each node's log was first read. Xid 45 is often only the end of a job after another error. A code without a "
                        "meaning is not in the catalogue of errors yet.", "kind, code", ["kind", "code", "title", "class", "action"], where, (24, 10)),
            lines("New errors by code", "Errors that were added, one on top of the other. No bar: none were. A device that nobody asked for an hour has all of "
                  "its errors added.", [target(new_errors(where), "{{kind}} {{code}}")], "count", (24, 8), stack=True, style="bars", min=0,
                  interval=COARSE),
            table("By device", "The 100 devices and codes with the latest errors. A device that is not seen any more has no index.", [
                (f"topk(100, max by (cluster, node, vendor, index, pci_bus_id, kind, code) (accelerator_error_last_timestamp_seconds{{{where}}}) > 0) * 1000",
                 column("Last", "moment"))], ["cluster", "node", "vendor", "index", "pci_bus_id", "kind", "code"], (24, 10), links,
                {"pci_bus_id": "PCI address", "kind": "Kind", "code": "Code"}, "Last", NONE),
        ]),
        ("Devices", [
            fault_table(NODES),
            table("Uncorrected memory errors", "Since the driver was loaded, the 50 worst.",
                  [(f"topk(50, max by (cluster, node, vendor, index) (accelerator_ecc_errors_total{{{NODES}}}) > 0)", column("Errors"))],
                  ["cluster", "node", "vendor", "index"], (12, 8), links, sort="Errors", nothing=NONE),
            table("Row remapping", "Devices that have to be reset to remap rows of memory, or could not remap one, at most 50.",
                  [(f"topk(50, max by (cluster, node, vendor, index) (accelerator_row_remap_state{{{NODES}}}) > 0)",
                    state("State", panels.names({1: ("reset due", NOTICE), 2: ("failed", ALARM)})))],
                  ["cluster", "node", "vendor", "index"], (12, 8), links, nothing=NONE),
            table("Devices that differ from their peers",
                  "Busy devices and their distance from the median of the busy devices of their node or job, in median absolute deviations.",
                  [(f"topk(50, {' or '.join(stragglers)})", column("Distance"))], ["cluster", "node", "vendor", "index", "reading"], (12, 8), links,
                  {"reading": "Reading"}, "Distance", NONE),
            table("Readings that are not credible", "Readings of devices outside the bounds of their series, which are not recorded.",
                  [(f"topk(50, sum by (cluster, node, vendor, source, series) (node:accelerator_invalid_readings:count{{{NODES}}}))", column("Readings"))],
                  ["cluster", "node", "vendor", "source", "series"], (24, 8), {"node": links["node"]}, {"source": "Source", "series": "Series"}, "Readings",
                  NONE),
        ]),
    ], span="24h")


def monitoring():
    """The stack that watches: targets, rules, notifications, storage."""
    where = 'cluster=~"$cluster|"'
    host = "cluster, node"
    readers = ("vm_promscrape", "vmalert", "prometheus", "alertmanager")
    storages = "Of VictoriaMetrics; Prometheus does not export it."

    def rates(title, about, pairs):
        made = [target(f"sum by ({host}) (rate({series}{{{where}}}[$__rate_interval]))", NODE_LEGEND + f" {word}") for series, word in pairs]
        return lines(title, about, made, "per second", (6, 8), min=0)

    return panels.board(MONITORING, "Monitoring", "What watches the fleet: targets, rules, notifications and storage.", [
        panels.variable("cluster", "accelmon_fleet_node_info"),
    ], [
        ("Now", [
            stat("Watchdog", "1 while rules are evaluated. n/a: they are not, and no alert can fire.",
                 [now(f"max({WATCHDOG})")], thresholds=steps((1, GOOD), first=ALARM), mappings=[]),
            stat("Targets up", "Exporters and services that can be scraped, of all.", [now(f"sum(up{{{where}}})", "up"), now(f"count(up{{{where}}})", "all")]),
            stat("Samples for each scrape", "What all targets together deliver at a time.", [now(f"sum(scrape_samples_scraped{{{where}}})")]),
            stat("Configuration", "1 if the last reload of every service's configuration succeeded, else 0.", [
                now(f"min by ({host}) ({' or '.join(f'{name}_config_last_reload_successful{{{where}}}' for name in readers)})", NODE_LEGEND)], "score",
                thresholds=steps((1, GOOD), first=ALARM)),
            stat("Storage left", "Free space where the data is. Of VictoriaMetrics; for Prometheus see the file systems of the node.",
                 [now(f"min by (cluster, node) (vm_free_disk_space_bytes{{{where}}})", NODE_LEGEND)], "bytes"),
            stat("Certificate", "The certificate that ends first. n/a: no node has one.",
                 [now(f"min(accelmon_certificate_expiry_timestamp_seconds{{{where}}}) * 1000")], "moment"),
        ]),
        ("Targets", [
            table("Targets that are down", "At most 100.",
                  [(f"topk(100, group by (cluster, node, job, instance) (up{{{where}}} == 0))", column("Targets"))], ["cluster", "node", "job", "instance"],
                  (12, 10),
                  {"node": panels.link(NODE, "cluster", "node")}, {"job": "Job", "instance": "Address"}, nothing=NONE),
            lines("Share of targets up", "By job.", [target(f"avg by (job) (up{{{where}}})", "{{job}}")], "ratio", (12, 10), min=0, max=1, interval=COARSE),
            lines("Slowest scrape", "By job.", [target(f"max by (job) (scrape_duration_seconds{{{where}}})", "{{job}}")], "seconds", min=0, interval=COARSE),
            lines("Samples", "That a scrape delivers, by job.", [target(f"sum by (job) (scrape_samples_scraped{{{where}}})", "{{job}}")], "count", min=0,
                  interval=COARSE),
            panels.bars("Largest targets", "Samples for each scrape, the six largest targets.",
                        [now(f"topk(6, sum by (cluster, node, job) (scrape_samples_scraped{{{where}}}))", "{{node}} {{job}}")], "count", min=0),
            panels.bars("Oldest readings of textfile collectors", "Age of the last successful reading, the six oldest.",
                        [now(f"topk(6, time() - max by (cluster, node, vendor) (accelmon_collector_last_success_timestamp_seconds{{{where}}}))",
                             "{{node}} {{vendor}}")], "seconds", min=0),
            panels.bars("Exporters that were restarted", "How often the watch restarted an exporter within the time range, the six most often.",
                        [now(f"topk(6, sum by (cluster, node, exporter) (increase(accelmon_exporter_restarts_total{{{where}}}[$__range])))",
                             "{{node}} {{exporter}}")], "count", min=0),
            lines("Registry", "Generation of each cluster's registry; it rises when a run changes something.",
                  [target(f"max by (cluster) (accelmon_fleet_generation{{{where}}})", "{{cluster}}")], "count", min=0),
        ]),
        ("Rules and notifications", [
            rates("Rules that fail", "Evaluations that ended with an error.", [
                ("vmalert_execution_errors_total", "vmalert"), ("prometheus_rule_evaluation_failures_total", "Prometheus")]),
            rates("Evaluations missed", "Because the one before took too long.", [
                ("vmalert_iteration_missed_total", "vmalert"), ("prometheus_rule_group_iterations_missed_total", "Prometheus")]),
            rates("Alerts not sent", "Errors on the way to Alertmanager.", [
                ("vmalert_alerts_send_errors_total", "vmalert"), ("prometheus_notifications_errors_total", "Prometheus")]),
            lines("Notifications that fail", "By receiver of Alertmanager.",
                  [target(f"sum by (cluster, node, integration) (rate(alertmanager_notifications_failed_total{{{where}}}[$__rate_interval]))",
                          "{{node}} {{integration}}")], "per second", (6, 8), min=0),
        ]),
        ("Storage", [
            lines("Data on disk", "Of the storage. Of Prometheus: blocks and write-ahead log.", [target(
                f"sum by ({host}) (vm_data_size_bytes{{{where}}})\n"
                f"or sum by ({host}) (prometheus_tsdb_storage_blocks_bytes{{{where}}} + prometheus_tsdb_wal_storage_size_bytes{{{where}}})",
                NODE_LEGEND)], "bytes", (6, 8), min=0),
            lines("Time until the disk is full", "At the rate of the last six hours. No line: it is not getting fuller. " + storages, [target(
                f"vm_free_disk_space_bytes{{{where}}} / (deriv(vm_free_disk_space_bytes{{{where}}}[6h]) * -1 > 0)", NODE_LEGEND)], "seconds", (6, 8), min=0),
            rates("Samples stored", "Of what is scraped and of what rules record.", [
                ("vm_rows_added_to_storage_total", "VictoriaMetrics"), ("prometheus_tsdb_head_samples_appended_total", "Prometheus")]),
            rates("Samples refused", "By VictoriaMetrics: ignored and invalid ones. By Prometheus: out of order, out of bounds, duplicate.", [
                ("vm_rows_ignored_total", "ignored"), ("vm_rows_invalid_total", "invalid"), *(
                    (f"prometheus_target_scrapes_sample_{why}_total", why.replace("_", " ")) for why in REFUSED)]),
            rates("Slow inserts", "Many at once: new series, or too little memory. " + storages, [("vm_slow_row_inserts_total", "slow")]),
            rates("Dropped before storage", "By vmagent and vmalert. " + storages, [
                ("vmagent_remotewrite_packets_dropped_total", "packets"), ("vmalert_remotewrite_dropped_rows_total", "rows of rules"),
                ("vm_persistentqueue_blocks_dropped_total", "blocks")]),
            lines("Waiting to be stored", "In vmagent's queue. " + storages,
                  [target(f"sum by ({host}) (vmagent_remotewrite_pending_data_bytes{{{where}}})", NODE_LEGEND)], "bytes", (6, 8), min=0),
            lines("Alertmanagers without contact", "Peers that an Alertmanager does not reach.",
                  [target(f"max by ({host}) (alertmanager_cluster_failed_peers{{{where}}})", NODE_LEGEND)], "count", (6, 8), min=0),
        ]),
    ])


BOARDS = {"fleet": fleet, "node": node, "accelerator": accelerator, "jobs": jobs, "errors": errors, "monitoring": monitoring}
