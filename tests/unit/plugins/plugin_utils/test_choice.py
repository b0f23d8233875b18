# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which source is in charge of which vendor on a host, what is deployed for it, and what cannot work there.

Stubbed: `hostvars` is a dictionary; facts have the shape that accelerator_facts documents, and are made up.
"""
import pathlib

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import handover_waits, source_questions
from ansible_collections.accelmon.fleet.plugins.filter.fleet_records import fleet_records
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.check import fleet_check
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import choice, hosts as fleet, plan, records
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import errors
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import device, facts
from ansible.errors import AnsibleFilterError

UBUNTU = {"architecture": "amd64", "distribution": "ubuntu", "distribution_version": "22.04", "libc": {"name": "glibc", "version": "2.35"},
          "container_runtimes": [], "exporters": []}
ROCKY = dict(UBUNTU, distribution="rocky", distribution_version="9.4", libc={"name": "glibc", "version": "2.34"})
RECENT = dict(ROCKY, distribution_version="9.9", libc={"name": "glibc", "version": "2.39"})
# Programs of the distribution are no matter here.
PLAIN = {"accelmon_source": "release"}


def told(*devices, **node):
    return facts(*devices, node=dict(UBUNTU, **node))


def host_variables(facts_of_host, variables):
    return dict({"ansible_facts": facts_of_host} if facts_of_host is not None else {}, **dict(PLAIN, **variables))


def planned(facts_of_host, **variables):
    """The plan, without the record of links, which has tests of its own."""
    made = whole_plan(facts_of_host, **variables)
    return dict(made, roles=[role for role in made["roles"] if role != "links"])


def whole_plan(facts_of_host, **variables):
    return records.make_plan("h", fleet.HostVariables({"h": host_variables(facts_of_host, variables)}, "h"))


def refused(facts_of_host, **variables):
    with pytest.raises(Problem) as error:
        planned(facts_of_host, **variables)
    assert "\n" not in str(error.value)
    return str(error.value)


def entries(facts_of_host, stage="first", **variables):
    """{job: (source, elected, standby)} of the host's record."""
    made = records.make_record("h", fleet.HostVariables({"h": host_variables(facts_of_host, variables)}, "h"),
                               fleet.Reader(fleet.plan_specs()), True, stage)
    return {one["job"]: (one.get("source"), one["elected"], one["standby"]) for one in made["exporters"]}


GAUDI = device("intel_gaudi", model="Gaudi 2")
RADEON = device("amd", model="Radeon RX 7900 XTX")
TEGRA = {"nvidia": {"count": 1, "models": {"Jetson AGX Orin": 1}, "states": {"ready": 1}, "embedded": 1}}


@pytest.mark.parametrize("facts_of_host, variables, roles", [
    (told(), {}, ["node_exporter"]),
    (told(device()), {}, ["node_exporter", "dcgm_exporter", "kernel_log"]),
    (told(device("amd")), {}, ["node_exporter", "amd_exporter", "kernel_log"]),
    (told(GAUDI), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(device(), device("amd"), GAUDI), {}, ["node_exporter", "all_smi", "dcgm_exporter", "amd_exporter", "kernel_log"]),
    (facts(summary=TEGRA, node=UBUNTU), {}, ["node_exporter", "all_smi", "kernel_log"]),
    # Distributions that the vendors have no packages for.
    (facts(device(), node=dict(UBUNTU, distribution="fedora", distribution_version="40")), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (facts(device(), node=ROCKY), {}, ["node_exporter", "dcgm_exporter", "kernel_log"]),
    (facts(device("amd"), node=ROCKY), {}, ["node_exporter", "textfile_collector"]),
    (facts(device("amd"), node=dict(ROCKY, libc={"name": "glibc", "version": "2.39"})), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (facts(device("amd"), node=dict(ROCKY, container_runtimes=["podman"])), {"amd_exporter_source": "container"},
     ["node_exporter", "amd_exporter", "kernel_log"]),
    (facts(device("amd"), node=ROCKY), {"accelmon_source": "bundle"}, ["node_exporter", "amd_exporter", "kernel_log"]),
    (facts(device("amd"), node=dict(UBUNTU, libc={"name": "musl"})), {}, ["node_exporter", "textfile_collector"]),
    # No checksum of all-smi's static build is known, until the site gives one.
    (facts(device(), node=dict(UBUNTU, libc={"name": "musl"})), {}, ["node_exporter", "textfile_collector"]),
    (facts(device(), node=dict(UBUNTU, libc={"name": "musl"})), {"all_smi_sha256": {"amd64": "0" * 64}}, ["node_exporter", "all_smi", "kernel_log"]),
    (facts(GAUDI, node=dict(UBUNTU, libc={"name": "musl"})), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (facts(device(), node=dict(UBUNTU, architecture="ppc64le")), {}, ["node_exporter", "textfile_collector"]),
    (told(device("amd", model="AMD Radeon AI PRO R9700")), {}, ["node_exporter", "amd_exporter", "kernel_log"]),
    (told(device("amd", model="AMD Instinct 1002:75c1")), {}, ["node_exporter", "amd_exporter", "kernel_log"]),
    # Radeon is no Instinct.
    (told(RADEON), {}, ["node_exporter", "all_smi", "kernel_log"]),
    # All-smi reads AMD from 0.23.1 on.
    (facts(device("amd"), node=dict(ROCKY, libc={"name": "glibc", "version": "2.39"})), {"all_smi_version": "0.23.0"},
     ["node_exporter", "textfile_collector"]),
    (facts(device("apple", model="Apple M2"), node={"distribution": "macos", "architecture": "arm64"}), {}, ["all_smi_macos"]),
    # Overrides.
    (told(device()), {"accelmon_accelerator_source": "all_smi"}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(device()), {"accelmon_accelerator_source": "textfile"}, ["node_exporter", "textfile_collector"]),
    (told(device(), GAUDI), {"accelmon_accelerator_source": "textfile"}, ["node_exporter", "all_smi", "textfile_collector"]),
    (told(device(), device("amd")), {"accelmon_accelerator_source": {"amd": "textfile"}},
     ["node_exporter", "dcgm_exporter", "textfile_collector"]),
    (told(device()), {"dcgm_exporter_state": "absent"}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(device()), {"accelmon_accelerator_source": "dcgm", "dcgm_exporter_state": "absent"}, ["node_exporter", "kernel_log"]),
    (told(device(), exporters=["node_exporter", "textfile_collector"]),
     {"accelmon_accelerator_source": "textfile", "textfile_collector_state": "absent"}, ["node_exporter", "election", "textfile_collector_retired"]),
    (told(device()), {"dcgm_exporter_managed": "external"}, ["node_exporter", "kernel_log"]),
    (told(device()), {"dcgm_exporter_managed": "adopt"}, ["node_exporter", "dcgm_exporter_adopted", "kernel_log"]),
    (told(device()), {"accelmon_exporters": ["node_exporter", "dcgm_exporter", "all_smi"]}, ["all_smi", "dcgm_exporter", "node_exporter"]),
    (told(device()), {"accelmon_exporters": ["node_exporter"], "accelmon_accelerator_source": "textfile"}, ["node_exporter"]),
    (None, {"accelmon_expected": {"nvidia": 8}}, ["node_exporter", "dcgm_exporter", "kernel_log"]),
])
def test_what_is_deployed(facts_of_host, variables, roles):
    assert planned(facts_of_host, **variables)["roles"] == roles


@pytest.mark.parametrize("facts_of_host, variables, text", [
    (facts(summary=TEGRA, node=UBUNTU), {"accelmon_accelerator_source": "dcgm"},
     "h: accelmon_accelerator_source = dcgm: DCGM does not support Jetson GPUs; set accelmon_accelerator_source to all_smi or auto for it"),
    (facts(summary=TEGRA, node=UBUNTU), {"accelmon_exporters": ["node_exporter", "dcgm_exporter"]},
     'h: accelmon_exporters = ["dcgm_exporter", "node_exporter"]: DCGM does not support Jetson GPUs; '
     "set accelmon_accelerator_source to all_smi or auto for it"),
    (facts(summary=TEGRA, node=UBUNTU), {"accelmon_accelerator_source": {"nvidia": "textfile"}},
     "h: accelmon_accelerator_source = textfile: nvidia-smi cannot read Jetson GPUs; "
     "set accelmon_accelerator_source to all_smi or auto for it"),
    (facts(device("amd"), node=dict(UBUNTU, libc={"name": "musl", "version": "1.2.4"})), {"accelmon_accelerator_source": "all_smi"},
     "h: accelmon_accelerator_source = all_smi: AMD devices need the build for glibc 2.35, but this host has musl 1.2.4; "
     "set accelmon_accelerator_source to amd_exporter or textfile for it"),
    (told(device("amd")), {"accelmon_accelerator_source": "all_smi", "all_smi_version": "0.23.0"},
     "h: all_smi_version = 0.23.0: a host with amd devices needs 0.23.1 or later; set all_smi_version"),
    (told(device("aws_neuron", model="Trainium")), {"all_smi_version": "0.26.0"},
     "h: all_smi_version = 0.26.0: a host with aws_neuron devices needs 0.27.0 or later; set all_smi_version"),
    (told(device()), {"accelmon_accelerator_source": "dcgm", "dcgm_exporter_source": "container"},
     "h: dcgm_exporter_source = container: the host has neither podman nor docker; install one of them, set it to package or bundle, "
     "or choose another exporter with accelmon_accelerator_source"),
    (facts(device("amd"), node=ROCKY), {"accelmon_accelerator_source": "amd_exporter"},
     "h: amd_exporter_source = package: AMD's exporter has no packages for rocky 9.4; set it to bundle or container, "
     "or choose another exporter with accelmon_accelerator_source"),
    (told(device("amd", model="Radeon RX 7900 XTX")), {"accelmon_accelerator_source": "amd_exporter"},
     "h: accelmon_accelerator_source = amd_exporter: AMD's exporter only supports Instinct and Radeon AI accelerators, but this host has Radeon RX 7900 XTX; "
     "set accelmon_accelerator_source to all_smi, textfile or auto for it"),
    (facts(device(), node=dict(UBUNTU, libc={"name": "musl"})), {"accelmon_accelerator_source": "dcgm"},
     "h: accelmon_accelerator_source = dcgm: DCGM needs glibc, but this host uses musl; "
     "set accelmon_accelerator_source to all_smi, textfile or auto for it"),
    (told(device()), {"accelmon_accelerator_source": "dcgm", "accelmon_exporters": ["node_exporter", "all_smi"]},
     "h: accelmon_accelerator_source = dcgm: it needs the role dcgm_exporter, which accelmon_exporters does not list; make them agree"),
    (told(device()), {"accelmon_accelerator_source": "all-smi"},
     "h: accelmon_accelerator_source = all-smi: not a source; use auto, dcgm or amd_exporter or all_smi or textfile, or a dictionary of these by vendor"),
    (told(device()), {"accelmon_accelerator_source": {"nvidia": "amd_exporter"}},
     'h: accelmon_accelerator_source = {"nvidia": "amd_exporter"}: nvidia: amd_exporter does not read it; '
     "use auto or dcgm or all_smi or textfile"),
])
def test_what_cannot_work_is_one_clear_error(facts_of_host, variables, text):
    assert refused(facts_of_host, **variables) == text


def test_an_exporter_of_somebody_else_is_there_whatever_the_host_is():
    assert planned(facts(device(), node=dict(UBUNTU, distribution="fedora")), dcgm_exporter_managed="external",
                   dcgm_exporter_port=9500)["exporters"][1] == {
        "job": "dcgm_exporter", "port": 9500, "scheme": "http", "path": "/metrics", "elected": ["nvidia"], "standby": [], "source": "dcgm"}


def test_an_image_asks_for_what_is_listed_and_has_no_devices():
    assert planned(told(exporters=["all_smi"]), accelmon_phase="image", accelmon_exporters=["node_exporter", "dcgm_exporter"])["roles"] == [
        "dcgm_exporter", "node_exporter"]


def test_two_exporters_on_one_host():
    both = {"accelmon_exporters": ["node_exporter", "dcgm_exporter", "all_smi"]}
    there = told(device(), exporters=["all_smi", "dcgm_exporter", "node_exporter"])
    assert entries(there, **both) == {
        "node_exporter": (None, [], []), "dcgm_exporter": ("dcgm", ["nvidia"], []), "all_smi": ("all_smi", [], ["nvidia"])}
    assert entries(there, accelmon_accelerator_source="all_smi", **both) == {
        "node_exporter": (None, [], []), "dcgm_exporter": ("dcgm", [], ["nvidia"]), "all_smi": ("all_smi", ["nvidia"], [])}
    assert "election" not in planned(there, **both)["roles"]


def test_a_mixed_host_has_a_source_for_each_vendor():
    assert entries(facts(device(), GAUDI, node=UBUNTU)) == {
        "node_exporter": (None, [], []), "dcgm_exporter": ("dcgm", ["nvidia"], []), "all_smi": ("all_smi", ["intel_gaudi"], ["nvidia"])}


def test_a_vendor_is_handed_over_when_the_new_exporter_is_there_and_not_before():
    """From the textfile collector, which is on the host, to NVIDIA's exporter, which is not."""
    before = told(device(), exporters=["node_exporter", "textfile_collector"])
    assert planned(before)["roles"] == ["node_exporter", "dcgm_exporter", "election", "textfile_collector_retired", "kernel_log"]
    assert entries(before) == {"node_exporter": ("textfile", ["nvidia"], []), "dcgm_exporter": ("dcgm", [], ["nvidia"])}
    assert entries(before, "elected") == {"node_exporter": ("textfile", [], ["nvidia"]), "dcgm_exporter": ("dcgm", ["nvidia"], [])}
    assert entries(before, "retired") == {"node_exporter": (None, [], []), "dcgm_exporter": ("dcgm", ["nvidia"], [])}
    after = told(device(), exporters=["dcgm_exporter", "node_exporter"])
    assert planned(after)["roles"] == ["node_exporter", "dcgm_exporter", "kernel_log"]
    assert entries(after) == entries(before, "retired")


def test_errors_in_the_kernel_log_are_counted_wherever_drivers_write_them():
    """By the collector that reads the devices, or by one that reads none; as our own node_exporter exports it."""
    assert set(plan.LOGGED) == set(errors.fatal())
    assert "kernel_log" in planned(told(GAUDI))["roles"] and "kernel_log" not in planned(told(device("tenstorrent", model="n300")))["roles"]
    for variables in ({"node_exporter_managed": "external"}, {"node_exporter_managed": "adopt"}, {"node_exporter_state": "absent"},
                      {"accelmon_exporters": ["node_exporter", "dcgm_exporter"]}, {"accelmon_accelerator_source": "textfile"}):
        assert "kernel_log" not in planned(told(device()), **variables)["roles"], variables
    assert entries(told(device(), exporters=["dcgm_exporter", "kernel_log", "node_exporter"]))["node_exporter"] == (None, [], [])


def test_a_collector_for_the_kernel_log_goes_when_it_is_not_wanted_and_not_when_its_devices_are_gone():
    there = told(device(), exporters=["dcgm_exporter", "kernel_log", "node_exporter"])
    assert planned(there)["roles"] == ["node_exporter", "dcgm_exporter", "kernel_log"]
    for variables in ({"textfile_collector_state": "absent"}, {"accelmon_exporters": ["dcgm_exporter", "node_exporter"]}):
        assert sorted(planned(there, **variables)["roles"]) == ["dcgm_exporter", "node_exporter", "textfile_collector_retired"]
    assert planned(told(exporters=["dcgm_exporter", "kernel_log", "node_exporter"]))["roles"] == ["node_exporter"]
    assert planned(there, accelmon_accelerator_source="textfile")["roles"] == [
        "node_exporter", "textfile_collector", "election", "dcgm_exporter_retired"], "the same collector reads the devices"


@pytest.mark.parametrize("facts_of_host, variables, recorded", [
    (told(device()), {}, True),
    (told(device()), {"accelmon_accelerator_source": "textfile"}, True),
    (told(device(), exporters=["dcgm_exporter", "node_exporter"]), {}, True),
    (told(device(), exporters=["dcgm_exporter", "kernel_log", "node_exporter"]), {}, False),
    (told(device(), exporters=["node_exporter", "textfile_collector"]), {"accelmon_accelerator_source": "textfile"}, False),
    # Another exporter takes over the devices; the collector stays, or comes back, for the kernel's log.
    (told(device(), exporters=["node_exporter", "textfile_collector"]), {}, False),
    (told(), {}, False),
    (told(device()), {"textfile_collector_state": "absent"}, False),
    (None, {"accelmon_expected": {"nvidia": 8}}, False),
])
def test_links_are_recorded_by_the_run_that_installs_what_reads_them(facts_of_host, variables, recorded):
    """So that the next run learns nothing new, and changes nothing."""
    roles = whole_plan(facts_of_host, **variables)["roles"]
    assert ("links" in roles) is recorded and "links" not in roles[:-1]


def test_nodes_of_slurm_get_hooks_with_accelerators_or_without():
    """All of them read the same slurm.conf, and Slurm drains those without the hooks that it names."""
    hooks = {"accelmon_slurm_hooks": True}
    assert planned(told(device()), **hooks)["roles"] == ["node_exporter", "dcgm_exporter", "kernel_log", "slurm_hooks"]
    assert planned(told(), **hooks)["roles"] == ["node_exporter", "slurm_hooks"]
    assert planned(told(device()), **hooks, accelmon_exporters=["node_exporter", "textfile_collector"])["roles"] == [
        "node_exporter", "textfile_collector", "slurm_hooks"]


@pytest.mark.parametrize("variables", [
    {"accelmon_exporters": ["node_exporter", "dcgm_exporter"]}, {"node_exporter_managed": "external"}, {"textfile_collector_state": "absent"}])
def test_hooks_need_the_textfile_collector_where_there_are_accelerators(variables):
    assert refused(told(device()), accelmon_slurm_hooks=True, **variables) == (
        "h: accelmon_slurm_hooks = true: the textfile collector, which reads what the hooks write, would not run there; leave accelmon_exporters and "
        "node_exporter_managed at their defaults, or list it in accelmon_exporters")
    assert "slurm_hooks" in planned(told(), accelmon_slurm_hooks=True, **variables)["roles"]


def test_the_way_back_is_the_same():
    before = told(device(), exporters=["dcgm_exporter", "node_exporter"])
    back = {"accelmon_accelerator_source": "textfile"}
    assert planned(before, **back)["roles"] == ["node_exporter", "textfile_collector", "election", "dcgm_exporter_retired"]
    assert entries(before, **back) == {"node_exporter": ("textfile", [], ["nvidia"]), "dcgm_exporter": ("dcgm", ["nvidia"], [])}


def test_a_run_that_broke_off_between_election_and_retirement_is_finished_by_the_next():
    halfway = told(device(), exporters=["dcgm_exporter", "node_exporter", "textfile_collector"])
    assert planned(halfway)["roles"] == ["node_exporter", "dcgm_exporter", "election", "textfile_collector_retired", "kernel_log"]
    assert entries(halfway) == {"node_exporter": ("textfile", [], ["nvidia"]), "dcgm_exporter": ("dcgm", ["nvidia"], [])}


@pytest.mark.parametrize("exporters, variables, waits", [
    # A new one comes: it has to be scraped, then who is in charge.
    (["node_exporter", "textfile_collector"], {}, (True, True)),
    # The one in charge is there already.
    (["all_smi", "dcgm_exporter", "node_exporter"], {}, (False, True)),
    # Nobody takes over.
    (["dcgm_exporter", "node_exporter"], {"accelmon_exporters": ["node_exporter"]}, (False, False)),
    (["dcgm_exporter", "node_exporter"], {"accelmon_accelerator_source": "dcgm", "dcgm_exporter_state": "absent"}, (False, False)),
])
def test_a_run_waits_only_for_who_takes_over(exporters, variables, waits):
    hostvars = {"h": host_variables(told(device(), exporters=exporters), variables)}
    found = handover_waits(["h"], hostvars)
    assert (found["newcomer"], found["heir"]) == waits


def test_nothing_is_retired_because_devices_are_gone():
    gone = told(exporters=["dcgm_exporter", "node_exporter"])
    assert planned(gone)["roles"] == ["node_exporter"]
    assert entries(gone) == {"node_exporter": (None, [], []), "dcgm_exporter": (None, [], [])}


def test_what_is_not_listed_any_more_is_retired():
    there = told(device(), exporters=["all_smi", "dcgm_exporter", "node_exporter"])
    assert planned(there, accelmon_exporters=["node_exporter", "all_smi"])["roles"] == [
        "all_smi", "node_exporter", "election", "dcgm_exporter_retired"]
    assert planned(there, accelmon_exporters=["node_exporter", "all_smi"], dcgm_exporter_managed="external")["roles"] == [
        "all_smi", "node_exporter"]


def test_devices_that_nobody_reads_are_told():
    made = records.make_record("h", fleet.HostVariables({"h": host_variables(told(device()), {"accelmon_exporters": ["node_exporter"]})}, "h"),
                               fleet.Reader(fleet.plan_specs()), True)
    assert made["unmonitored"] == ["nvidia"]


BARE = {"dcgm_exporter": "package", "amd_exporter": "package"}
OFFLINE = dict(BARE, all_smi="address")


@pytest.mark.parametrize("facts_of_host, variables, roles", [
    (told(device(), lacking={}), {}, ["node_exporter", "dcgm_exporter", "kernel_log"]),
    (told(device(), lacking=BARE), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(device("amd"), lacking=BARE), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(device(), lacking=OFFLINE), {}, ["node_exporter", "textfile_collector"]),
    (told(device(), GAUDI, lacking=OFFLINE), {}, ["node_exporter", "all_smi", "textfile_collector"]),
    # Nothing else reads it: the role says what is in the way.
    (told(GAUDI, lacking=OFFLINE), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(device(), lacking=OFFLINE), {"textfile_collector_state": "absent"}, ["node_exporter", "dcgm_exporter"]),
    # One that is there stays, whatever became of its repository.
    (told(device(), lacking=OFFLINE, exporters=["dcgm_exporter", "node_exporter"]), {}, ["node_exporter", "dcgm_exporter", "kernel_log"]),
    (told(device(), lacking=OFFLINE, exporters=["all_smi", "node_exporter"]), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(device(), lacking=OFFLINE, exporters=["node_exporter", "textfile_collector"]), {}, ["node_exporter", "textfile_collector"]),
    # One that came to be had is taken.
    (told(device(), lacking={"all_smi": "address"}, exporters=["node_exporter", "textfile_collector"]), {},
     ["node_exporter", "dcgm_exporter", "election", "textfile_collector_retired", "kernel_log"]),
    # Somebody else's is there.
    (told(device(), lacking=OFFLINE), {"dcgm_exporter_managed": "adopt"}, ["node_exporter", "dcgm_exporter_adopted", "kernel_log"]),
    # dnf may know more as root than as the user that was asked.
    (facts(device(), node=dict(ROCKY, lacking=OFFLINE)), {"accelmon_accelerator_source": "dcgm"}, ["node_exporter", "dcgm_exporter", "kernel_log"]),
    # A host with dnf: its repository, then a release if it has the C library for one with a known checksum, then the collector.
    (facts(device(), node=dict(ROCKY, lacking={})), {}, ["node_exporter", "dcgm_exporter", "kernel_log"]),
    (facts(device(), node=dict(ROCKY, lacking={"dcgm_exporter": "package"})), {}, ["node_exporter", "textfile_collector"]),
    (facts(device(), node=dict(RECENT, lacking={"dcgm_exporter": "package"})), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (facts(device(), node=dict(RECENT, lacking=OFFLINE)), {}, ["node_exporter", "textfile_collector"]),
    (facts(device(), node=dict(ROCKY, lacking={}, exporters=["node_exporter", "textfile_collector"])), {},
     ["node_exporter", "dcgm_exporter", "election", "textfile_collector_retired", "kernel_log"]),
    (facts(device(), node=dict(ROCKY, lacking={}, exporters=["all_smi", "node_exporter"])), {},
     ["node_exporter", "dcgm_exporter", "election", "all_smi_retired", "kernel_log"]),
    # The best source is a release.
    (told(RADEON, lacking={"all_smi": "address"}), {}, ["node_exporter", "textfile_collector"]),
    (told(RADEON, lacking={}), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(RADEON, lacking={"all_smi": "address"}, exporters=["all_smi", "node_exporter"]), {}, ["node_exporter", "all_smi", "kernel_log"]),
    (told(RADEON, lacking={}, exporters=["node_exporter", "textfile_collector"]), {},
     ["node_exporter", "all_smi", "election", "textfile_collector_retired", "kernel_log"]),
    (told(device(), lacking=OFFLINE), {"accelmon_accelerator_source": "all_smi"}, ["node_exporter", "all_smi", "kernel_log"]),
])
def test_what_the_host_cannot_get_is_not_chosen_while_something_else_can(facts_of_host, variables, roles):
    assert planned(facts_of_host, **variables)["roles"] == roles


@pytest.mark.parametrize("variables, text", [
    ({"accelmon_accelerator_source": "dcgm"},
     "h: accelmon_accelerator_source = dcgm: none of the host's repositories has datacenter-gpu-manager-4-core 4.6.0 and "
     "datacenter-gpu-manager-exporter 4.8.3; set dcgm_exporter_repository to nvidia, or accelmon_accelerator_source to auto for it"),
    ({"accelmon_exporters": ["node_exporter", "dcgm_exporter"]},
     'h: accelmon_exporters = ["dcgm_exporter", "node_exporter"]: none of the host\'s repositories has datacenter-gpu-manager-4-core 4.6.0 and '
     "datacenter-gpu-manager-exporter 4.8.3; set dcgm_exporter_repository to nvidia, or accelmon_accelerator_source to auto for it"),
])
def test_what_was_asked_for_by_name_and_cannot_be_had_is_one_clear_error(variables, text):
    assert refused(told(device(), lacking=OFFLINE), **variables) == text


def test_the_better_source_is_recorded_with_the_setting_that_brings_it():
    made = records.make_record("h", fleet.HostVariables({"h": host_variables(told(device(), device("amd"), lacking=BARE), {})}, "h"),
                               fleet.Reader(fleet.plan_specs()), True)
    assert made["better"] == {
        "nvidia": ["dcgm", "none of the host's repositories has datacenter-gpu-manager-4-core 4.6.0 and datacenter-gpu-manager-exporter 4.8.3",
                   "dcgm_exporter_repository: nvidia"],
        "amd": ["amd_exporter", "none of the host's repositories has amdgpu-exporter 1.5.2", "amd_exporter_repository: amd"]}
    made = records.make_record("h", fleet.HostVariables({"h": host_variables(told(RADEON, lacking={"all_smi": "address"}), {})}, "h"),
                               fleet.Reader(fleet.plan_specs()), True)
    assert made["better"] == {
        "amd": ["all_smi", "the host cannot download its release", "accelmon_release_url_prefix to a mirror that the host can reach"]}
    assert "better" not in records.make_record("h", fleet.HostVariables({"h": host_variables(told(device(), lacking={}), {})}, "h"),
                                               fleet.Reader(fleet.plan_specs()), True)


@pytest.mark.parametrize("variables, asked", [
    ({}, ["dcgm_exporter packages", "amd_exporter packages", "all_smi urls"]),
    ({"dcgm_exporter_repository": "nvidia", "amd_exporter_source": "container", "all_smi_managed": "adopt"}, []),
    ({"accelmon_source": "bundle", "accelmon_bundle": "/b"}, []),
    ({"amd_exporter_repository": "amd", "accelmon_release_token": "x"}, ["dcgm_exporter packages"]),
    # What is not to be chosen is not asked about.
    ({"accelmon_accelerator_source": "textfile"}, []),
    ({"accelmon_accelerator_source": "dcgm"}, ["dcgm_exporter packages", "amd_exporter packages", "all_smi urls"]),
    ({"accelmon_accelerator_source": {"nvidia": "all_smi", "amd": "all_smi"}}, []),
    ({"accelmon_exporters": ["node_exporter", "dcgm_exporter"]}, ["dcgm_exporter packages"]),
    ({"accelmon_exporters": ["node_exporter"]}, []),
    ({"dcgm_exporter_version": "9.9.9"}, ["amd_exporter packages", "all_smi urls"]),
    ({"dcgm_exporter_profiling": True, "amd_exporter_version": "1.5.4", "all_smi_version": "0.1", "accelmon_cluster": "?"},
     ["dcgm_exporter packages", "amd_exporter packages"]),
])
def test_a_host_is_asked_about_what_would_come_from_elsewhere(variables, asked):
    found = source_questions(dict(variables, inventory_hostname="h"))
    assert [f"{one['role']} {word}" for one in found for word in ("packages", "urls") if word in one] == asked
    assert not found or [one["role"] for one in found] == ["dcgm_exporter", "amd_exporter", "all_smi", "textfile_collector"]


def test_a_host_is_asked_about_the_versions_that_would_be_installed():
    found = {one["role"]: one for one in source_questions({"inventory_hostname": "h", "dcgm_exporter_profiling": True, "amd_exporter_version": "1.5.4",
                                                           "accelmon_release_url_prefix": "http://mirror/"})}
    assert found["dcgm_exporter"]["packages"] == {
        "datacenter-gpu-manager-4-core": "4.6.0", "datacenter-gpu-manager-4-proprietary": "4.6.0", "datacenter-gpu-manager-exporter": "4.8.3"}
    assert found["amd_exporter"]["packages"] == {"amdgpu-exporter": "1.5.4"}
    assert found["all_smi"]["urls"] == {
        "amd64": "http://mirror/lablup/all-smi/releases/download/v0.27.0/all-smi-linux-x86_64.tar.gz",
        "arm64": "http://mirror/lablup/all-smi/releases/download/v0.27.0/all-smi-linux-aarch64.tar.gz"}


@pytest.mark.parametrize("playbook", sorted((pathlib.Path(__file__).resolve().parents[4] / "playbooks").rglob("*.yml")))
def test_every_playbook_that_chooses_sources_asks_the_same(playbook):
    """A run that did not ask would choose another source than the one before, and hand the devices over to it."""
    text = playbook.read_text()
    # An image gets what its packages bring; who uninstalls asks what is there.
    if "accelerator_facts:" in text and playbook.name not in ("image.yml", "uninstall.yml"):
        assert 'accelerator_facts:\n        sources: "{{ hostvars[inventory_hostname] | accelmon.fleet._source_questions }}"' in text


def test_stages_are_checked():
    assert plan.STAGES == ("first", "elected", "retired")
    with pytest.raises(AnsibleFilterError, match="fleet_records: stage = second: no such stage; use one of first, elected, retired"):
        fleet_records([], {}, stage="second")


def test_the_check_without_facts_knows_ports_and_names():
    groups = {"accelerator_nodes": ["h"], "monitoring": ["m"]}
    variables = {"accelmon_exporters": ["node_exporter", "dcgm_exporter"], "dcgm_exporter_port": 9400, "accelmon_accelerator_source": "dgcm",
                 "accelmon_custom_exporters": [{"job": "mine", "port": 9400}]}
    found = fleet_check(groups, {"h": dict(variables, ansible_host="10.0.0.1"), "m": {"ansible_host": "10.0.0.2"}})["hosts"]["h"]
    assert "accelmon_accelerator_source = dgcm: not a source; use auto" in found
    assert 'accelmon_custom_exporters = ["mine:9400"]: dcgm_exporter_port has the same port; change one of them' in found


@pytest.mark.parametrize("vendor,names", [
    ("nvidia", ("dcgm", "all_smi", "textfile")), ("amd", ("amd_exporter", "all_smi", "textfile")), ("google_tpu", ("all_smi",)),
])
def test_what_the_vendor_makes_comes_first_and_the_textfile_collector_last(vendor, names):
    assert choice.preferred(vendor) == names
