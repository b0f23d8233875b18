"""Preflight: what is asked of a host, and what is said of its answer.

Stubbed: hosts; their variables, facts and answers are made here.
"""

import copy
import pathlib

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import preflight
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import device, facts

ROOT = pathlib.Path(__file__).resolve().parents[4]
GOOD = {"ports": [], "paths": {"/opt/accelmon": {"free_bytes": 10 ** 12, "free_inodes": 10 ** 6, "mount": "/", "options": []}}, "fapolicyd": False,
        "systemd_running": True, "systemd_version": 252, "missing": [], "python_version": "3.11.2", "clock_offset": 0.5}


def fleet(**variables):
    """hostvars of a monitoring host and a node with these variables."""
    told = facts(node={"distribution": variables.pop("distribution", "debian")})
    return {"mon": {"inventory_hostname": "mon", "group_names": ["monitoring"], "ansible_facts": told},
            "gpu": {"inventory_hostname": "gpu", "group_names": ["accelerator_nodes"], "ansible_facts": told, **variables}}


def judge(changes=(), hostvars=None, monitor=(), reached=None):
    """Lines about a fleet whose node answers with these changes."""
    observed = {"mon": dict(copy.deepcopy(GOOD), **dict(monitor)), "gpu": dict(copy.deepcopy(GOOD), **dict(changes))}
    return [one["line"] for one in preflight.findings(["mon", "gpu"], hostvars or fleet(), observed, reached or {})]


def test_nothing_is_said_of_a_good_fleet():
    assert judge() == []


@pytest.mark.parametrize("changes,line", [
    ({"ports": [{"port": 9100, "variable": "node_exporter_port", "owner": "prometheus-node-exporter.service (pid 7, prometheus-node-exporter)",
                 "unit": "prometheus-node-exporter.service"}]},
     "error: gpu: node_exporter_port 9100 = taken by prometheus-node-exporter.service (pid 7, prometheus-node-exporter); "
     "set node_exporter_managed to adopt or external to keep and scrape it, stop and disable prometheus-node-exporter.service to replace it, "
     "or choose another node_exporter_port"),
    ({"ports": [{"port": 9100, "variable": "node_exporter_port", "owner": "pid 7, x"}]},
     "error: gpu: node_exporter_port 9100 = taken by pid 7, x; stop that process, or choose another node_exporter_port"),
    ({"paths": {"/opt/accelmon": {"mount": "/opt", "options": ["noexec"]}}},
     "error: gpu: /opt/accelmon = mounted noexec at /opt; mount it without noexec: programs run from there"),
    ({"paths": {"/var/lib/accelmon": {"mount": "/var", "options": ["noexec"]}}}, None),
    ({"paths": {"/var/lib/accelmon": {"mount": "/var", "options": ["ro"]}}}, "error: gpu: /var/lib/accelmon = mounted read-only at /var; mount it writable"),
    ({"paths": {"/var/lib/accelmon": {"free_bytes": 50 * 2 ** 20}}}, "warning: gpu: /var/lib/accelmon = 50 MiB free at /; free some space: 100 MiB are needed"),
    ({"paths": {"/var/lib/accelmon": {"free_bytes": 0}}}, "error: gpu: /var/lib/accelmon = 0 MiB free at /; free some space: 100 MiB are needed"),
    ({"paths": {"/opt/accelmon": {"free_inodes": 3}}},
     "error: gpu: /opt/accelmon = 3 inodes free at /; remove files, or recreate the file system with more inodes"),
    ({"systemd_running": False}, "error: gpu: first process = not systemd; boot the host with systemd, or use playbooks/image.yml to build an image"),
    ({"systemd_version": 219}, "error: gpu: systemd = 219; use a distribution with 235 or later"),
    ({"systemd_version": 239}, "warning: gpu: systemd = 239; no action needed: below 247 it ignores parts of the sandbox, see docs/platforms.md"),
    ({"systemd_version": None}, None),
    ({"python_version": "3.5.3"}, "error: gpu: Python = 3.5.3; set ansible_python_interpreter to Python 3.6 or later"),
    ({"python_version": "3.6.8"}, None),
    ({"fapolicyd": True}, None),
    ({"missing": ["openssl"]}, "error: gpu: program = openssl is missing; install the package openssl"),
    ({"bcrypt": "bcrypt: none; install libxcrypt"}, "error: gpu: bcrypt = bcrypt: none; install libxcrypt"),
    ({"clock_offset": 5.4}, None),
    ({"clock_offset": 30.5}, "warning: gpu: clock = 30 s ahead of that of mon; synchronise both, for example with chrony"),
    ({"clock_offset": -3600.0}, "error: gpu: clock = 3600 s behind that of mon; synchronise both, for example with chrony"),
])
def test_what_is_said_of_a_node(changes, line):
    assert judge(changes) == ([line] if line else [])


def test_a_python_that_services_cannot_run_is_told_where_one_of_ours_needs_it():
    told = {"python_problem": "ansible_python_interpreter = /home/x: the services cannot run it; install python3"}
    assert judge(told, fleet(accelmon_exporters=["node_exporter"])) == []
    assert judge(told, fleet(accelmon_exporters=["node_exporter", "textfile_collector"])) == [
        "error: gpu: ansible_python_interpreter = /home/x: the services cannot run it; install python3"]
    assert judge(monitor=told) == ["error: mon: ansible_python_interpreter = /home/x: the services cannot run it; install python3"]


def test_a_monitoring_host_that_is_wrong_itself_is_what_others_are_compared_with():
    assert judge(monitor={"clock_offset": 100.5}) == ["error: gpu: clock = 100 s behind that of mon; synchronise both, for example with chrony"]
    assert judge({"clock_offset": 100.0}, monitor={"clock_offset": 100.5}) == []


def test_a_monitoring_host_wants_more_room():
    paths = {"/var/lib/accelmon": {"free_bytes": 2 * 2 ** 30}}
    assert judge({"paths": paths}) == []
    assert judge(monitor={"paths": paths}) == ["warning: mon: /var/lib/accelmon = 2048 MiB free at /; free some space: 10240 MiB are needed"]


def test_a_host_that_does_not_answer_is_an_error():
    found = preflight.findings(["mon", "gpu"], fleet(), {"mon": GOOD}, {})
    assert [one["line"] for one in found] == ["error: gpu: answer = none; make it reachable for Ansible, or leave it out of the run"]


@pytest.mark.parametrize("kind,said", [
    ("unresolved", "the name does not resolve there; add it to DNS or to /etc/hosts of mon, or set accelmon_address"),
    ("timeout", "no answer; open the firewall for mon, or set accelmon_address to an address it can reach"),
    ("no_route", "no route; add a route on mon, or set accelmon_address to an address it can reach"),
    ("skipped", "not checked, as too many others did not answer; fix those and run again"),
    ("refused", None), ("ok", None), ("tls", None), ("not_http", None)])
def test_the_way_from_the_scraping_host(kind, said):
    line = f"error: gpu: scrape address 10.0.0.7:9100 from mon = {said}"
    assert judge(reached={"mon": {"gpu": [kind, "10.0.0.7:9100"]}}) == ([line] if said else [])


def test_programs_do_not_come_from_packages_where_there_are_none():
    rocky = fleet(distribution="rocky", accelmon_source="package")
    assert judge(hostvars=rocky)[-1] == "error: gpu: accelmon_source = package, and rocky has no such packages; set it to release or bundle"
    assert judge(hostvars=fleet(distribution="ubuntu")) == []
    released = fleet(distribution="sles")
    for host in released.values():
        host["accelmon_source"] = "release"
    assert judge(hostvars=released) == []
    released["gpu"]["node_exporter_source"] = "package"
    assert judge(hostvars=released) == ["error: gpu: node_exporter_source = package, and sles has no such packages; set it to release or bundle"]


def test_fapolicyd_matters_to_programs_that_no_package_brought():
    lines = judge({"fapolicyd": True}, hostvars=fleet(accelmon_source="release"))
    assert lines == ["warning: gpu: fapolicyd = running; trust the programs: fapolicyd-cli --file add /opt/accelmon/ && fapolicyd-cli --update"]


@pytest.mark.parametrize("variables,distribution_version,wrong", [
    ({}, "12", "0.25.0"), ({}, "13", None), ({}, "99", None), ({"alertmanager_source": "release"}, "12", None),
    ({"alertmanager_source": "release", "alertmanager_version": "0.27.0"}, "13", "0.27.0"), ({"accelmon_source": "bundle"}, "12", None)])
def test_a_receiver_that_the_release_of_alertmanager_lacks_is_in_the_way(variables, distribution_version, wrong):
    hostvars = fleet()
    hostvars["mon"].update(variables, alertmanager_receivers=[{"name": "office", "type": "msteams", "webhook_url": "https://hooks.example.org/S3cret"}])
    hostvars["mon"]["ansible_facts"] = facts(node={"distribution": "debian", "distribution_version": distribution_version})
    found = [line for line in judge(hostvars=hostvars) if "alertmanager" in line]
    assert found == ([f"error: mon: alertmanager_receivers = office is of type msteams, which Alertmanager has since 0.28, and this host's release is {wrong}; "
                      "install a newer one (alertmanager_source: release), or use a webhook"] if wrong else [])


def test_a_device_without_a_driver_is_an_error_with_its_fix():
    hostvars = fleet()
    hostvars["gpu"]["ansible_facts"] = facts(device(state="driver_missing"))
    assert judge(hostvars=hostvars)[0].startswith("error: gpu: driver = 1 nvidia accelerator has no working driver")
    hostvars["gpu"]["accelmon_driver_missing"] = "ignore"
    assert judge(hostvars=hostvars) == []


def test_what_is_asked_of_a_node_and_of_a_monitoring_host():
    node = preflight.wants("gpu", fleet(node_exporter_port=9200))
    assert node["ports"] == [{"address": "", "port": 9200, "variable": "node_exporter_port", "unit": "accelmon-node-exporter.service"}]
    assert node["programs"] == [] and node["bcrypt"] is False
    monitor = preflight.wants("mon", fleet())
    assert {"node_exporter_port", "victoriametrics_port", "vmagent_port", "vmalert_port"} <= {port["variable"] for port in monitor["ports"]}
    assert monitor["programs"] == ["openssl"] and monitor["bcrypt"] is True
    assert preflight.wants("gpu", fleet(accelmon_exporter_tls="managed"))["programs"] == ["openssl"]
    assert preflight.wants("gpu", fleet(node_exporter_managed="external"))["ports"] == []


def test_a_bad_variable_is_left_to_the_check_of_the_inventory():
    assert preflight.wants("gpu", fleet(node_exporter_port="many", accelmon_address="a b"))["ports"][0]["port"] == 9100


def test_one_place_of_every_host_is_called():
    hostvars = fleet(accelmon_address="fd00::7", node_exporter_managed="external", node_exporter_port=9200)
    assert preflight.places(["mon", "gpu"], hostvars) == [
        {"host": "mon", "address": "mon", "port": 9100}, {"host": "gpu", "address": "fd00::7", "port": 9200}]


def test_errors_come_first():
    severities = [one["severity"] for one in preflight.findings(
        ["mon", "gpu"], fleet(), {"mon": dict(GOOD, systemd_version=240), "gpu": dict(GOOD, systemd_running=False)}, {})]
    assert severities == ["error", "warning"]


def reported(hostvars, unanswered=None, checked=None, silent=()):
    """Lines of the whole report."""
    observed = {name: copy.deepcopy(GOOD) for name in ("mon", "gpu") if name not in silent}
    return [one["line"] for one in preflight.report(["mon", "gpu"], hostvars, observed, {}, checked or {}, unanswered or {})]


UBUNTU = {"architecture": "amd64", "distribution": "ubuntu", "distribution_version": "22.04", "libc": {"name": "glibc", "version": "2.35"}}


def test_what_was_found_and_what_would_read_it_is_a_line_for_each_host():
    hostvars = fleet()
    hostvars["gpu"]["ansible_facts"] = facts(*[device()] * 8, device("amd"), node=dict(UBUNTU, lacking={"dcgm_exporter": "package", "all_smi": "address"}))
    assert reported(hostvars) == [
        "mon: no accelerators",
        "gpu: 1 amd → amd_exporter, 8 nvidia → textfile (dcgm: none of the host's repositories has datacenter-gpu-manager-4-core 4.6.0 and "
        "datacenter-gpu-manager-exporter 4.8.3; to change that, set dcgm_exporter_repository: nvidia)",
        "no errors: 2 of 2 hosts ready"]


@pytest.mark.parametrize("seen, variables, told", [
    ({"slurmd": True, "slurm_hooks": False}, {}, True), ({"slurmd": True, "slurm_hooks": True}, {}, False),
    ({"slurmd": False, "slurm_hooks": False}, {}, False),
    ({"slurmd": True, "slurm_hooks": False}, {"accelmon_slurm_hooks": True}, False), ({"slurmd": "x", "slurm_hooks": None}, {}, False)])
def test_a_node_of_slurm_without_hooks_is_told_how_to_get_them(seen, variables, told):
    hostvars = fleet(**variables)
    hostvars["gpu"]["ansible_facts"] = facts(device(), node=UBUNTU)
    hint = ", slurmd runs there; to know which job has which accelerator, set accelmon_slurm_hooks"
    assert preflight.chosen_note("gpu", hostvars, dict(GOOD, **seen))["line"] == "gpu: 1 nvidia → dcgm" + hint * told
    hostvars["gpu"]["ansible_facts"] = facts(node=UBUNTU)
    assert preflight.chosen_note("gpu", hostvars, dict(GOOD, **seen))["line"] == "gpu: no accelerators"


def test_a_source_that_would_take_over_is_named_with_the_one_before():
    hostvars = fleet()
    hostvars["gpu"]["ansible_facts"] = facts(*[device()] * 8, node=dict(UBUNTU, lacking={}, exporters=["node_exporter", "textfile_collector"]))
    assert "gpu: 8 nvidia → dcgm in place of textfile" in reported(hostvars)
    hostvars["gpu"]["ansible_facts"]["accelmon_node"]["exporters"].append("dcgm_exporter")
    assert "gpu: 8 nvidia → dcgm" in reported(hostvars)


def test_what_was_asked_for_by_name_and_no_repository_has_is_in_the_way():
    hostvars = fleet(accelmon_accelerator_source="dcgm")
    hostvars["gpu"]["ansible_facts"] = facts(device(), node=dict(UBUNTU, lacking={"dcgm_exporter": "package"}))
    lines = reported(hostvars)
    assert lines[0].startswith("error: gpu: accelmon_accelerator_source = dcgm, and none of the host's repositories has datacenter-gpu-manager-4-core")
    assert lines[0].endswith("set dcgm_exporter_repository to nvidia, or accelmon_accelerator_source to auto for it")


def test_what_the_check_of_the_inventory_says_is_said_as_site_yml_says_it():
    text = "gpu: accelmon_exporter_tsl = yes: no such variable; did you mean accelmon_exporter_tls?\ngpu: accelmon_labels = []: not a dictionary; write one"
    assert reported(fleet(), checked={"gpu": text}) == [
        "error: gpu: accelmon_exporter_tsl = yes: no such variable; did you mean accelmon_exporter_tls?",
        "error: gpu: accelmon_labels = []: not a dictionary; write one",
        "mon: no accelerators", "gpu: no accelerators", "1 of 2 hosts ready, 1 with errors"]


def test_a_host_that_does_not_answer_is_one_line_with_its_reason():
    assert reported(fleet(), silent=["gpu"], unanswered={"gpu": {"what": "ssh", "value": "login refused", "fix": "set ansible_user"}}) == [
        "error: gpu: ssh = login refused; set ansible_user", "mon: no accelerators", "1 of 2 hosts ready, 1 with errors, 1 of them did not answer"]


def test_a_package_that_no_repository_has_is_an_error_with_the_variable_that_helps():
    assert judge({"unknown_packages": ["prometheus-node-exporter"]}) == [
        "error: gpu: package = none of the host's repositories has prometheus-node-exporter; add one that has it, "
        "or set accelmon_source to release or bundle or container"]


def test_a_package_that_no_repository_has_can_come_from_where_its_role_knows():
    """Of Grafana there are images, too."""
    hostvars = fleet()
    hostvars["mon"] = dict(hostvars["mon"], accelmon_grafana=True)
    assert "grafana" not in preflight.wants("mon", hostvars)["packages"]
    hostvars["mon"] = dict(hostvars["mon"], grafana_source="package")
    assert "grafana" in preflight.wants("mon", hostvars)["packages"]
    assert judge(hostvars=hostvars, monitor={"unknown_packages": ["grafana"]}) == [
        "error: mon: package = none of the host's repositories has grafana; add one that has it, or set grafana_source to release or bundle or container"]


@pytest.mark.parametrize("runtimes,wrong", [([], True), (["docker"], False)])
def test_a_service_in_a_container_needs_something_that_runs_it(runtimes, wrong):
    hostvars = fleet()
    hostvars["mon"] = dict(hostvars["mon"], accelmon_grafana=True, grafana_source="container", grafana_image="a@sha256:" + "0" * 64,
                           ansible_facts=facts(node={"distribution": "debian", "container_runtimes": runtimes}))
    assert "grafana" not in preflight.wants("mon", hostvars)["packages"]
    assert judge(hostvars=hostvars) == ["error: mon: grafana_source = container, and the host has neither podman nor docker; install one of them, "
                                        "or set it to package or bundle"] * wrong


@pytest.mark.parametrize("runtimes,wrong", [
    ([], "the host has neither podman nor docker; install one of them, or set it to package or bundle"),
    (["docker"], "the host has no podman, which alone keeps the storage's network to itself; install podman, or set it to package or bundle"),
    (["podman", "docker"], "")])
def test_the_storage_in_a_container_needs_podman(runtimes, wrong):
    hostvars = fleet()
    hostvars["mon"] = dict(hostvars["mon"], victoriametrics_source="container", victoriametrics_image="a@sha256:" + "0" * 64,
                           victoriametrics_auth_image="a@sha256:" + "1" * 64,
                           ansible_facts=facts(node={"distribution": "debian", "container_runtimes": runtimes}))
    assert judge(hostvars=hostvars) == [f"error: mon: victoriametrics_source = container, and {wrong}"] * bool(wrong)


def test_packages_that_are_asked_about_are_those_that_the_roles_install():
    wanted = preflight.wants("mon", fleet())["packages"]
    assert wanted == ["prometheus-alertmanager", "prometheus-node-exporter", "victoria-metrics"]
    assert preflight.wants("gpu", fleet(accelmon_source="release"))["packages"] == []
    for role, name in preflight.PACKAGES.items():
        tasks = yaml.safe_load((ROOT / "roles" / role / "tasks/main.yml").read_text())
        assert [task["vars"]["service_package"]["name"] for task in tasks if "service_package" in task.get("vars", {})] == [name]
