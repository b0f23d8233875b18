# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which monitoring hosts run which role. Stubbed: `hostvars` is a dictionary."""
import json
import pathlib
import re

import pytest

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import check, hosts as fleet, placement, preflight, upgrades
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters import services
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

MONITORING = ["mon1", "mon2", "mon3"]
ROLES = {role for backend in stack.BACKENDS for role in stack.services(backend, True)}


REACHED = ("other monitoring hosts have to reach it, as groups keep some roles of the stack from some of them; set it to 0.0.0.0 or an address of this host, "
           "where it speaks TLS and asks for the password")


def grouped(**placed):
    """The groups of an inventory with three monitoring hosts. placed: {role: hosts of its group}"""
    return {"monitoring": MONITORING, "accelerator_nodes": ["gpu1"], **placed}


def hostvars_of(groups, everywhere=None, **given):
    """`hostvars` of the monitoring hosts, which were looked at. given: {host: its variables}"""
    return {host: {"inventory_hostname": host, "group_names": [name for name in groups if host in groups[name]], "groups": groups,
                   "ansible_host": f"10.0.0.{host[-1]}", **(everywhere or {}), **given.get(host, {}),
                   "ansible_facts": {"accelerators": {}, "accelmon_node": {"addresses": [f"10.0.0.{host[-1]}"]}}} for host in MONITORING}


def checked(groups, **given):
    """What the variable check says of the fleet. given: {host: its variables}"""
    hostvars = {host: given.get(host, {}) for hosts in groups.values() for host in hosts}
    return check.fleet_check(groups, hostvars)["fleet"]


@pytest.mark.parametrize("members,placed", [
    (None, MONITORING), ([], MONITORING), (MONITORING, MONITORING), (["mon3", "mon1"], ["mon1", "mon3"]),
    # A group of the site's own.
    (["other"], MONITORING)])
def test_a_group_places_a_role_on_its_monitoring_hosts_in_the_order_of_the_inventory(members, placed):
    groups = grouped(**({} if members is None else {"alertmanager": members}))
    assert placement.hosts("alertmanager", groups) == placed
    restricted = placed != MONITORING
    assert placement.is_restricted("alertmanager", groups) == restricted
    assert placement.pattern("alertmanager", groups) == ("monitoring:&alertmanager" if restricted else "monitoring")
    assert placement.pattern("alertmanager", groups, "accelmon_on_x") == "accelmon_on_x" + ":&alertmanager" * restricted
    for host in MONITORING:
        values = {"alertmanager_state": "present", "accelmon_grafana": True}
        placement.follow(values, host, groups)
        assert values == {"alertmanager_state": "present" if host in placed else "absent", "accelmon_grafana": True}


def test_without_monitoring_hosts_nothing_is_placed():
    assert placement.hosts("alertmanager", {"alertmanager": ["a"]}) == [] and not placement.is_restricted("alertmanager", {"alertmanager": ["a"]})


def test_variables_of_a_host_say_that_it_lacks_what_is_placed_elsewhere():
    groups = grouped(grafana=["mon1"], alertmanager=["mon2"])

    def has(host, names=("monitoring",)):
        entry = {"inventory_hostname": host, "group_names": list(names), "groups": groups, "accelmon_grafana": "yes", "alertmanager_state": "present"}
        asked = ("accelmon_grafana", "alertmanager_state", "accelmon_backend")
        found = fleet.settings(entry, asked)
        reader = fleet.Reader({name: check.variables.declared(name) for name in asked})
        assert reader.read_all(fleet.HostVariables({host: entry}, host)) == (found, [])
        return list(found.values())
    assert has("mon1") == [True, "absent", "victoriametrics"]
    assert has("mon2") == [False, "present", "victoriametrics"]
    assert has("mon3") == [False, "absent", "victoriametrics"]
    # Its role runs by itself, as in a playbook of the site's own.
    assert has("other", ["alertmanager"]) == [True, "present", "victoriametrics"]


@pytest.mark.parametrize("groups", [
    {}, {"alertmanager": ["mon1"]}, {"vmagent": MONITORING}, {"grafana": ["mon2"]},
    # Of the site's own: nobody of it is a monitoring host, or no monitoring host runs such a role.
    {"alertmanager": ["other"], "vmagent": ["other"]}, {"prometheus": ["mon1", "other"], "grafana": ["mon1", "other"]}])
def test_groups_that_place_roles_or_have_nothing_to_do_with_them(groups):
    assert checked(grouped(**groups)) == []


@pytest.mark.parametrize("groups,everywhere,line", [
    ({"alertmanager": ["mon1", "am1", "am2"]}, {}, 'inventory: alertmanager = ["mon1", "am1", "am2"]: this group places the role alertmanager, and not all of '
     "it are monitoring hosts; add am1, am2 to the group monitoring, or remove it from alertmanager"),
    ({"grafana": ["mon1", "g1"]}, {"accelmon_grafana": True}, 'inventory: grafana = ["mon1", "g1"]: this group places the role grafana, and not all of it are '
     "monitoring hosts; add g1 to the group monitoring, or remove it from grafana"),
    ({"vmalert": ["mon1", "x"]}, {}, 'inventory: vmalert = ["mon1", "x"]: this group places the role vmalert, and not all of it are monitoring hosts; add x to '
     "the group monitoring, or remove it from vmalert")])
def test_groups_that_cannot_place_a_role_are_refused_before_anything_is_done(groups, everywhere, line):
    assert checked(grouped(**groups), **{host: everywhere for host in MONITORING}) == [line]


def test_who_has_no_role_is_not_asked_for_what_it_needs():
    """Neither an image nor a port."""
    groups = grouped(alertmanager=["mon1"], grafana=["mon1"])
    contained = {"accelmon_source": "container", "accelmon_grafana": True, "grafana_source": "release",
                 **{name: "docker.io/x@sha256:" + 64 * "0" for role in stack.services("victoriametrics", False) + ("node_exporter",) if role != "alertmanager"
                    for name in check.IMAGES[role]}}
    hostvars = {host: contained if host in MONITORING else {} for host in MONITORING + ["gpu1"]}
    found = check.fleet_check(groups, hostvars)["hosts"]
    assert list(found) == ["mon1"] and found["mon1"].startswith("mon1: alertmanager_image = ''"), found
    same = {"alertmanager_port": 3000, "accelmon_grafana": True}
    found = check.fleet_check(groups, {host: same if host in MONITORING else {} for host in MONITORING + ["gpu1"]})["hosts"]
    assert list(found) == ["mon1"], found


def test_one_alertmanager_of_several_monitoring_hosts_is_reached_by_the_others_and_gossips_with_nobody():
    hostvars = hostvars_of(grouped(alertmanager=["mon2"]))
    own = services.alertmanagers(MONITORING, hostvars, "mon2")
    assert (own["listen"], own["pair"], own["peers"]) == ("10.0.0.2", False, [])
    assert services.gossip_arguments(own, 9094, "/g.yml") == ["--cluster.listen-address="]
    assert stack.listener(own["listen"], 9093)["web_config"].endswith("/stack_tls.yml")
    seen = services.alertmanagers(MONITORING, hostvars, "mon1")
    assert [(one["url"], one["server_name"]) for one in seen["services"]] == [("https://10.0.0.2:9093", "10.0.0.2")]
    # It has none that it watches; that of mon2 is watched by the scraper there.
    assert seen["own"] == {} and list(own["own"]) == ["alertmanager"]


def test_two_alertmanagers_of_three_monitoring_hosts_gossip_with_each_other():
    hostvars = hostvars_of(grouped(alertmanager=["mon3", "mon2"]))
    assert [services.alertmanagers(MONITORING, hostvars, host)["peers"] for host in ("mon2", "mon3")] == [["10.0.0.3:9094"], ["10.0.0.2:9094"]]
    assert [one["host"] for one in services.alertmanagers(MONITORING, hostvars, "mon1")["services"]] == ["mon2", "mon3"]


@pytest.mark.parametrize("groups", [{}, {role: MONITORING for role in ROLES}, {"alertmanager": ["am1"], "grafana": ["g1"]}])
@pytest.mark.parametrize("backend", stack.BACKENDS)
@pytest.mark.parametrize("monitoring", [["mon1"], ["mon1", "mon2"], MONITORING])
def test_groups_that_keep_no_role_from_a_host_change_nothing(groups, monitoring, backend):
    """What is rendered for each host is the same as without `groups`, with either backend."""
    def rendered(hostvars):
        made = []
        for host in monitoring:
            entry = hostvars[host]
            made.append([services.alertmanagers(monitoring, hostvars, host), services.storages(monitoring, hostvars, host),
                         services.stack_urls(host, hostvars, monitoring), services.neighbours(entry), services.unwanted_services(entry),
                         services.present({"vmagent": 1, "vmalert": 2}, entry), services.watched_elsewhere(monitoring, hostvars, host),
                         services.grafana_sources("x", host, hostvars, monitoring), preflight.wants(host, hostvars), upgrades.Stack(host, hostvars).services])
        return json.dumps(made, default=str)
    settings = {"accelmon_grafana": True, "accelmon_backend": backend}
    placed = {name: [host for host in hosts if host in monitoring or host not in MONITORING] for name, hosts in groups.items()}
    with_groups = hostvars_of({"monitoring": monitoring, **placed}, settings)
    without = {host: {name: value for name, value in entry.items() if name != "groups"} for host, entry in with_groups.items()}
    assert rendered(with_groups) == rendered(without)


def test_everything_that_knows_the_services_of_a_host_knows_which_are_placed_elsewhere():
    hostvars = hostvars_of(grouped(alertmanager=["mon2", "mon3"], grafana=["mon2"]), {"accelmon_grafana": True})
    has = {"alertmanager", "grafana"}
    for host, lacks in (("mon1", has), ("mon2", set()), ("mon3", {"grafana"})):
        assert set(services.stack_urls(host, hostvars, MONITORING)["listeners"]) & has == has - lacks
        assert set(services.unwanted_services(hostvars[host])) & has == lacks
        assert set(upgrades.Stack(host, hostvars).services) & has == has - lacks
        ports = {port["variable"] for port in preflight.wants(host, hostvars)["ports"]}
        assert {f"{role}_port" for role in has} & ports == {f"{role}_port" for role in has - lacks}
    assert services.placed_hosts(grouped(alertmanager=["mon3", "mon2"]), "alertmanager") == ["mon2", "mon3"]


def test_grafana_shows_the_alertmanager_of_another_host_where_its_own_has_none():
    hostvars = hostvars_of(grouped(alertmanager=["mon2"], grafana=["mon1"]), {"accelmon_grafana": True})
    found = json.loads(services.grafana_sources("x", "mon1", hostvars, MONITORING))["datasources"]
    assert [(one["url"], one["jsonData"]["serverName"]) for one in found if one["type"] == "alertmanager"] == [("https://10.0.0.2:9093", "10.0.0.2")]


def test_services_of_a_host_without_a_scraper_are_watched_by_those_of_the_others():
    """But for its vmalert, which is for itself alone; the check of the inventory says so."""
    groups = grouped(vmagent=["mon1", "mon3"])
    hostvars = hostvars_of(groups, mon2={"accelmon_grafana": True, "grafana_listen": "0.0.0.0", "accelmon_cluster": "c2"})
    found = services.watched_elsewhere(MONITORING, hostvars, "mon1")
    assert [(one["job"], one["target"], one["server_name"], one["cluster"], one["node"]) for one in found] == [
        (job, f"10.0.0.2:{port}", name, "c2", "mon2") for job, port, name in (
            ("victoriametrics", 8428, "10.0.0.2"), ("alertmanager", 9093, "10.0.0.2"), ("grafana", 3000, "10.0.0.2"), ("accelmon_fleet", 9100, "localhost"))]
    assert found[2]["path"] == "/metrics" and found[2]["series"] and (found[3]["scheme"], found[3]["path"]) == ("http", "/metrics")
    assert found == services.watched_elsewhere(MONITORING, hostvars, "mon3")
    # It listens where it is watched.
    assert services.storages(MONITORING, hostvars, "mon2")["own"]["target"] == "10.0.0.2:8428"
    assert services.present({"vmagent": 1, "vmalert": 2, "victoriametrics": 3}, hostvars["mon2"]) == {"vmalert": 2, "victoriametrics": 3}
    said = check.fleet_check(groups, {**hostvars, "gpu1": {}})["hosts"]
    assert said == {"mon2": "mon2: vmalert_listen = 127.0.0.1: " + REACHED}
    hostvars["mon2"].update(vmalert_listen="0.0.0.0", node_exporter_listen="127.0.0.1")
    assert check.fleet_check(groups, {**hostvars, "gpu1": {}})["hosts"] == {
        "mon2": f"mon2: node_exporter_listen = 127.0.0.1: {REACHED.partition(', where')[0]}"}
    assert "accelmon_fleet" not in {one["job"] for one in services.watched_elsewhere(MONITORING, hostvars, "mon1")}
    del hostvars["mon2"]["node_exporter_listen"]
    assert check.fleet_check(groups, {**hostvars, "gpu1": {}})["hosts"] == {}
    assert "vmalert" in {one["job"] for one in services.watched_elsewhere(MONITORING, hostvars, "mon1")}


# Storages on two hosts, scrapers on two, evaluators on two others, Alertmanagers on three.
LARGE = {"victoriametrics": ["s1", "s2"], "vmagent": ["a1", "a2"], "vmalert": ["e1", "e2"], "alertmanager": ["s1", "a1", "e1"]}


def large(everywhere=None, **groups):
    """(groups, `hostvars`) of a fleet that has each role on other hosts. groups: instead of those of LARGE"""
    placed = {**LARGE, **groups}
    monitoring = list(dict.fromkeys(host for hosts in placed.values() for host in hosts))
    made = {"monitoring": monitoring, "accelerator_nodes": [], **placed}
    return made, {host: {"inventory_hostname": host, "group_names": [name for name in made if host in made[name]], "groups": made,
                         "ansible_host": f"10.0.0.{number}", "vmalert_listen": "0.0.0.0", **(everywhere or {}),
                         "ansible_facts": {"accelerators": {}, "accelmon_node": {"addresses": [f"10.0.0.{number}"]}}}
                  for number, host in enumerate(monitoring, 1)}


def test_each_role_on_other_hosts_and_every_way_between_them_has_tls():
    groups, hostvars = large()
    monitoring = groups["monitoring"]
    assert check.fleet_check(groups, hostvars, needed=["monitoring"]) == {"fleet": [], "hosts": {}}
    seen = {host: services.storages(monitoring, hostvars, host) for host in monitoring}
    both = ["https://10.0.0.1:8428", "https://10.0.0.2:8428"]
    assert {host: [one["url"] for one in seen[host]["services"]] for host in monitoring} == {
        "s1": both, "s2": both[::-1], **dict.fromkeys(monitoring[2:], both)}
    assert all(one["pair"] for one in seen.values()) and {seen[host]["own"]["address"] for host in ("s1", "s2")} == {"10.0.0.1", "10.0.0.2"}
    # Each storage has a vmalert of its own, though on another host.
    assert [seen[host]["read"]["url"] for host in ("e1", "e2")] == both
    for host in monitoring:
        lacks = {f"{role}_state" for role in LARGE if host not in LARGE[role]}
        assert {f"{role}_state" for role in services.unwanted_services(hostvars[host]) if role in LARGE} == lacks
        for part, role in (("scraper", "vmagent"), ("storage", "victoriametrics"), ("evaluator", "vmalert")):
            assert services.has_part(hostvars[host], part) == (host in LARGE[role])


def test_where_each_host_is_asked_when_each_role_is_on_others():
    groups, hostvars = large()
    monitoring, both = groups["monitoring"], ["https://10.0.0.1:8428", "https://10.0.0.2:8428"]
    asked = {host: services.stack_urls(host, hostvars, monitoring) for host in monitoring}
    assert {host: (urls["storage"], urls["rules"]) for host, urls in asked.items()} == {
        "s1": (both[0], "https://10.0.0.5:8880"), "s2": (both[1], "https://10.0.0.6:8880"), "a1": (both[0], "https://10.0.0.5:8880"),
        "a2": (both[0], "https://10.0.0.5:8880"), "e1": (both[0], "https://127.0.0.1:8880"), "e2": (both[1], "https://127.0.0.1:8880")}
    assert {host: sorted(urls["listeners"]) for host, urls in asked.items()} == {
        "s1": ["alertmanager", "victoriametrics"], "s2": ["victoriametrics"], "a1": ["alertmanager", "vmagent"], "a2": ["vmagent"],
        "e1": ["alertmanager", "vmalert"], "e2": ["vmalert"]}


def test_what_is_watched_when_each_role_is_on_others():
    groups, hostvars = large()
    monitoring = groups["monitoring"]
    watched = services.watched_elsewhere(monitoring, hostvars, "a1")
    assert watched == services.watched_elsewhere(monitoring, hostvars, "a2")
    assert {(one["job"], one["node"]) for one in watched} == {
        ("victoriametrics", "s1"), ("alertmanager", "s1"), ("victoriametrics", "s2"), ("vmalert", "e1"), ("alertmanager", "e1"), ("vmalert", "e2"),
        *(("accelmon_fleet", host) for host in ("s1", "s2", "e1", "e2"))}
    stacked = [one for one in watched if one["job"] != "accelmon_fleet"]
    assert {one["scheme"] for one in stacked} == {"https"} and all(one["server_name"] in one["target"] for one in stacked)


def test_more_evaluators_than_storages_take_turns():
    groups, hostvars = large(vmalert=["e1", "e2", "e3"])
    assert [services.storages(groups["monitoring"], hostvars, host)["read"]["host"] for host in ("e1", "e2", "e3")] == ["s1", "s2", "s1"]
    # A storage that has a vmalert beside it needs no other one.
    groups, hostvars = large(vmalert=["s1", "e1", "e2"])
    assert [services.storages(groups["monitoring"], hostvars, host)["read"]["host"] for host in ("s1", "e1", "e2")] == ["s1", "s2", "s2"]
    assert check.fleet_check(groups, hostvars, needed=["monitoring"])["hosts"] == {}


@pytest.mark.parametrize("groups,everywhere,said", [
    ({"vmalert": ["e1"]}, {}, {"s2": "s2: no vmalert evaluates rules on its storage, which needs one for itself; add a host without a storage to the group "
                               "vmalert, or this one"}),
    ({}, {"victoriametrics_listen": "127.0.0.1"}, dict.fromkeys(
        ("a1", "a2", "e1", "e2"), "its services reach no storage of another host, and it has none; let one listen beyond loopback, or add this host to the "
        "group victoriametrics")),
    ({}, {"vmalert_listen": "127.0.0.1"}, dict.fromkeys(("e1", "e2"), f"vmalert_listen = 127.0.0.1: {REACHED}")),
    ({}, {"accelmon_global_url": "https://g.example/api/v1/write", "accelmon_global_password": "geheim-1", "accelmon_cluster": "east"},
     {host: "accelmon_global_url = https://g.example/api/v1/write: a scraper reads roll-ups out of the storage beside it, and groups keep "
      f"{roles} from this host; remove it here, or add the host to the group"
      for host, roles in (("s1", "vmagent"), ("a1", "victoriametrics"), ("e1", "victoriametrics and vmagent"))})])
def test_placements_that_would_lose_something_are_refused(groups, everywhere, said):
    made, hostvars = large(everywhere, **groups)
    found = check.fleet_check(made, hostvars, needed=["monitoring"])["hosts"]
    for host, line in said.items():
        assert line in found[host], found
    assert [host for host in found if host[0] not in {name[0] for name in said} | {"s"}] == []


def test_backups_are_refused_where_there_is_no_storage(tmp_path):
    (tmp_path / "recipient.pem").write_text("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")
    made, hostvars = large({"accelmon_backup_directory": "/mnt/backup", "accelmon_backup_recipient": str(tmp_path / "recipient.pem"),
                            "accelmon_backup_secret": "x" * 32})
    found = check.fleet_check(made, hostvars, needed=["monitoring"])["hosts"]
    assert [host for host, text in found.items() if "accelmon_backup_directory = /mnt/backup: a backup is of the storage, and groups keep victoriametrics from "
            "this host; remove it here, or add the host to the group" in text] == ["a1", "a2", "e1", "e2"]


def test_prometheus_on_one_of_two_hosts_with_that_backend():
    groups = {"monitoring": ["mon1", "mon2"], "prometheus": ["mon2"]}
    hostvars = hostvars_of(groups, {"accelmon_backend": "prometheus", "prometheus_listen": "0.0.0.0", "accelmon_grafana": True, "grafana_listen": "0.0.0.0"})
    del hostvars["mon3"]
    assert check.fleet_check(groups, hostvars, needed=["monitoring"])["hosts"] == {}
    for host, url in (("mon1", "https://10.0.0.2:9090"), ("mon2", "https://127.0.0.1:9090")):
        found = services.stack_urls(host, hostvars, ["mon1", "mon2"])
        assert found["storage"] == found["rules"] == url and ("prometheus" in found["listeners"]) == (host == "mon2")
        (storage, *_rest) = json.loads(services.grafana_sources("x", host, hostvars, ["mon1", "mon2"]))["datasources"]
        assert storage["url"] == url
    assert [(one["job"], one["node"]) for one in services.watched_elsewhere(["mon1", "mon2"], hostvars, "mon2")] == [
        ("alertmanager", "mon1"), ("grafana", "mon1"), ("accelmon_fleet", "mon1")]
    assert [services.has_part(hostvars[host], "evaluator") for host in ("mon1", "mon2")] == [False, True]
    assert "prometheus" in services.unwanted_services(hostvars["mon1"]) and "prometheus" not in services.unwanted_services(hostvars["mon2"])


def test_no_playbook_runs_a_role_where_a_group_keeps_it_from():
    """Roles with a play of their own, by its pattern, or by the plan of each host."""
    root = pathlib.Path(__file__).resolve().parents[4] / "playbooks"
    for path in [root / "site.yml", *root.glob("*.yml"), *root.glob("parts/*.yml")]:
        for play in re.split(r"^- name: ", path.read_text(), flags=re.MULTILINE):
            for role in re.findall(r"name: accelmon[.]fleet[.](\w+)$", play, re.MULTILINE):
                if role in ROLES and "end_host" not in play and "tasks_from" not in play:
                    assert re.search(rf"_placed\('{role}'\)|_planned\('grafana'\)|_planned\('\w+', '{role}'\)", play), f"{path.name}: {role}"
