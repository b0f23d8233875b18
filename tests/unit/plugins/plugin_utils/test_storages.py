# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""To which storages a monitoring host writes. Stubbed: `hostvars` is a dictionary."""
import pytest

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts, storages

ADDRESSES = {"mon1": "10.0.0.1", "mon2": "10.0.0.2", "mon3": "mon3.example.org"}


def fleet(looked_at=(), everywhere=None, **given):
    """`hostvars` of three monitoring hosts. looked_at: those with facts; given: {host: its variables}"""
    found = {name: {"inventory_hostname": name, "ansible_host": address, "group_names": ["monitoring"], **(everywhere or {}), **given.get(name, {})}
             for name, address in ADDRESSES.items()}
    for name in looked_at:
        found[name]["ansible_facts"] = {"accelerators": {}, "accelmon_node": {"addresses": [f"10.0.0.{name[-1]}"]}}
    return found


def urls(found):
    return [service["url"] for service in found["services"]]


@pytest.mark.parametrize("given", [{}, {"victoriametrics_listen": ""}, {"victoriametrics_listen": "127.0.0.1"}])
def test_one_alone_is_on_loopback(given):
    found = storages.seen("mon1", fleet(["mon1"], mon1=given), ["mon1"])
    assert urls(found) == ["http://127.0.0.1:8428"] and not found["pair"]
    assert (found["own"]["address"], found["own"]["port"], found["own"]["listen"]) == ("127.0.0.1", 8428, "127.0.0.1:8428")


def test_one_alone_listens_where_it_is_told():
    found = storages.seen("mon1", fleet(mon1={"victoriametrics_listen": "0.0.0.0", "victoriametrics_port": 9428}), ["mon1"])
    assert urls(found) == ["https://127.0.0.1:9428"] and not found["pair"] and found["own"]["listen"] == "0.0.0.0:9428"


def test_a_host_that_is_no_monitoring_host_has_its_own():
    assert urls(storages.seen("mon3", fleet(), ["mon1", "mon2"])) == ["http://127.0.0.1:8428"]


def test_of_several_each_writes_to_its_own_and_then_to_the_others_in_their_order():
    hostvars = fleet(ADDRESSES)
    assert urls(storages.seen("mon1", hostvars, list(ADDRESSES))) == ["https://10.0.0.1:8428", "https://10.0.0.2:8428", "https://mon3.example.org:8428"]
    assert urls(storages.seen("mon2", hostvars, list(ADDRESSES))) == ["https://10.0.0.2:8428", "https://10.0.0.1:8428", "https://mon3.example.org:8428"]
    # It is called by a name, and listens wherever that leads.
    found = storages.seen("mon3", hostvars, list(ADDRESSES))
    assert urls(found) == ["https://127.0.0.1:8428", "https://10.0.0.1:8428", "https://10.0.0.2:8428"] and found["own"]["address"] == ""
    assert [service["server_name"] for service in found["services"]] == ["localhost", "10.0.0.1", "10.0.0.2"]
    assert found["pair"]


def test_another_one_at_the_end_moves_no_queue():
    hostvars = fleet(ADDRESSES)
    for host in ("mon1", "mon2"):
        before, after = (urls(storages.seen(host, hostvars, monitoring)) for monitoring in (["mon1", "mon2"], ["mon1", "mon2", "mon3"]))
        assert after[:2] == before


@pytest.mark.parametrize("other", [
    {"accelmon_backend": "prometheus"}, {"victoriametrics_state": "absent", "vmagent_state": "absent", "vmalert_state": "absent"},
    {"victoriametrics_state": "absent", "vmagent_remote_write_url": "https://store.example/api/v1/write", "vmalert_storage_url": "https://store.example"}])
def test_who_has_no_such_storage_and_writes_to_none_makes_no_pair(other):
    found = storages.seen("mon1", fleet(["mon1"], mon2=other), ["mon1", "mon2"])
    assert urls(found) == ["http://127.0.0.1:8428"] and not found["pair"]


def test_a_vmagent_without_a_storage_of_its_own_writes_to_those_of_the_others():
    hostvars = fleet(ADDRESSES, mon2={"victoriametrics_state": "absent"})
    found = storages.seen("mon2", hostvars, list(ADDRESSES))
    assert urls(found) == ["https://10.0.0.1:8428", "https://mon3.example.org:8428"] and found["pair"]
    assert [service["server_name"] for service in found["services"]] == ["10.0.0.1", "mon3.example.org"]
    assert urls(storages.seen("mon1", hostvars, list(ADDRESSES))) == ["https://10.0.0.1:8428", "https://mon3.example.org:8428"]


def test_one_storage_that_the_vmagent_of_another_host_writes_to_listens_there():
    hostvars = fleet(ADDRESSES, mon1={"vmagent_state": "absent"}, mon2={"victoriametrics_state": "absent"})
    storage, writer = (storages.seen(host, hostvars, ["mon1", "mon2"]) for host in ("mon1", "mon2"))
    assert (storage["own"]["address"], storage["own"]["scheme"], storage["pair"]) == ("10.0.0.1", "https", True)
    assert urls(writer) == ["https://10.0.0.1:8428"]


def test_each_node_is_scraped_by_as_many_vmagents_as_wanted():
    def numbers(copies, **more):
        hostvars = fleet(ADDRESSES, {"vmagent_replication_factor": copies}, **more)
        return [storages.seen(host, hostvars, list(ADDRESSES))["shard"] for host in ADDRESSES]
    assert numbers(2) == [{"number": number, "members": 3, "copies": 2} for number in range(3)]
    # As many as there are, or more, are all.
    assert numbers(0) == numbers(3) == numbers(9) == [{}, {}, {}]
    # Who does not scrape, or writes elsewhere, is none of them.
    assert numbers(1, mon2={"vmagent_state": "absent"}) == [{"number": 0, "members": 2, "copies": 1}, {}, {"number": 1, "members": 2, "copies": 1}]
    assert numbers(2, mon2={"vmagent_remote_write_url": "https://store.example"}, mon3={"accelmon_backend": "prometheus"}) == [{}, {}, {}]


def test_vmagents_that_would_leave_nodes_to_nobody_are_told():
    def told(**given):
        members = {host: hosts.settings(entry, storages.READ) for host, entry in fleet(**given).items()}
        return {host: [str(problem) for problem in found] for host, found in storages.problems(members, set()).items()}
    name = "vmagent_replication_factor"
    assert told(everywhere={name: 2}) == told() == told(everywhere={name: 3, "victoriametrics_listen": "127.0.0.1"}) == {}
    assert told(mon1={name: 2}, mon2={name: 2}) == {
        "mon3": [f"{name} = 0: mon1 has 2, so some nodes would be scraped by nobody; set the same for all monitoring hosts"]}
    assert told(everywhere={name: 2}, mon2={"victoriametrics_listen": "127.0.0.1"}) == {
        "mon2": [f"victoriametrics_listen = 127.0.0.1: only its own vmagent writes there, and with {name} that scrapes a part of the nodes; remove it, or "
                 f"{name}"]}


def test_a_storage_on_loopback_gets_nothing_from_others():
    hostvars = fleet(["mon1", "mon2"], mon2={"victoriametrics_listen": "127.0.0.1"})
    found = storages.seen("mon1", hostvars, ["mon1", "mon2"])
    assert urls(found) == ["https://10.0.0.1:8428"] and found["pair"]
    assert urls(storages.seen("mon2", hostvars, ["mon1", "mon2"])) == ["http://127.0.0.1:8428", "https://10.0.0.1:8428"]
    alone = fleet(everywhere={"victoriametrics_listen": "localhost"})
    assert urls(storages.seen("mon1", alone, ["mon1", "mon2"])) == ["http://localhost:8428"] and not storages.seen("mon1", alone, ["mon1", "mon2"])["pair"]


def test_a_playbook_that_did_not_look_finds_it_where_the_run_that_did_put_it():
    assert urls(storages.seen("mon2", fleet(), ["mon1", "mon2"], unseen=True))[0] == "https://10.0.0.2:8428"


def test_a_wrong_value_of_another_host_names_that_host():
    with pytest.raises(Problem, match="^mon2: victoriametrics_port = x"):
        storages.seen("mon1", fleet(mon2={"victoriametrics_port": "x"}), ["mon1", "mon2"])


def test_what_a_vmalert_records_elsewhere_is_not_replayed():
    elsewhere = {"vmalert_storage_url": "https://ada:secret@store.example:8428"}
    found = storages.not_replayed(["mon1", "mon2", "mon3"], fleet(mon2=elsewhere, mon3={**elsewhere, "accelmon_backend": "prometheus"}))
    assert len(found) == 1 and found[0].startswith("mon2: vmalert_storage_url = https://(not shown)@store.example:8428: its vmalert records into that storage")


def test_a_vmalert_in_a_container_replays_nothing():
    inside = {"accelmon_source": "container"}
    found = storages.not_replayed(list(ADDRESSES), fleet(mon1=inside, mon2={**inside, "vmalert_source": "release"}, mon3={
        **inside, "accelmon_backend": "prometheus"}))
    assert [line.partition("; ")[0] for line in found] == ["mon1: accelmon_source = container: replay.yml runs a second vmalert, and cannot where it is in "
                                                           "a container"]
