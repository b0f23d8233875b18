# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node may tell of itself. Nothing is stubbed; facts are made up, or what the module gives on this machine."""
import copy
import json
import pathlib

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import batches
from ansible_collections.accelmon.fleet.plugins.filter.fleet_records import fleet_records
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.access import certificate_requests, unforged
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, node
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import check, facts, hosts as fleet, preflight
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import device
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import facts as told_facts
from ansible.errors import AnsibleFilterError

MODULE = pathlib.Path(__file__).parents[4] / "plugins" / "modules" / "accelerator_facts.py"
GROUPS = {"accelerator_nodes": ["evil", "gpu2"], "monitoring": ["mon01"]}


def changed(path, value):
    """Good facts with one value changed; `path` with dots, a last `+` adds a key."""
    made = copy.deepcopy(told_facts(device(), addresses=["10.0.0.7"]))
    place = made
    *parents, last = path.split("/")
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[int(last) if isinstance(place, list) else last] = value
    return made


def refused(told):
    with pytest.raises(facts.Untrusted) as error:
        facts.answer(told)
    text = str(error.value)
    assert text.startswith("facts: ") and "; " in text and "\n" not in text and len(text) < 400 and text.isprintable()
    assert "{{" not in text and "{%" not in text
    return text


def test_what_the_module_gives_goes_through_as_it_is():
    given = {"accelerators": accelerators.detect(), "accelmon_node": node.describe()}
    assert facts.answer(copy.deepcopy(given)) == given
    assert facts.answer(dict(given, discovered_interpreter_python="/usr/bin/python3"))["discovered_interpreter_python"] == "/usr/bin/python3"


def test_the_schema_has_what_the_module_documents():
    text = MODULE.read_text()
    documented = yaml.safe_load(text.partition('RETURN = r"""')[2].partition('"""')[0])["ansible_facts"]["contains"]
    assert set(facts.OURS) == set(documented)
    assert facts.SCHEMA["accelmon_node"].names == set(documented["accelmon_node"]["contains"])
    assert facts.SCHEMA["accelerators"].names == set(documented["accelerators"]["contains"])
    assert facts.DEVICE.names == set(documented["accelerators"]["contains"]["devices"]["contains"])


@pytest.mark.parametrize("value", [
    "abc", None, [], {}, True, -1, 1.5, float("nan"), float("inf"), 10 ** 9, 10 ** 400, "8", "{{ 7 * 7 }}"], ids=lambda value: repr(value)[:12])
def test_counts_are_small_whole_numbers(value):
    assert "accelerators.summary.nvidia.models.H100 SXM = " in refused(changed("accelerators/summary/nvidia/models/H100 SXM", value))
    refused(changed("accelerators/summary/nvidia/count", value))
    refused(changed("accelerators/summary/nvidia/states/ready", value))
    refused(changed("accelerators/summary/nvidia/embedded", value))


@pytest.mark.parametrize("value", [
    "a\nb", "a\x1b[2Jb", "a\0b", "{{ lookup('pipe', 'id') }}", "{% for x in y %}", "{# x #}", "x" * 257, 7, None, ["x"], {"a": 1}, "a\u202eb", "\ud800"],
    ids=lambda value: ascii(value)[:12])
def test_texts_are_one_short_printable_line(value):
    for name in ("model", "product", "uuid", "pci_address", "driver_version", "serial", "vbios"):
        refused(changed("accelerators/devices/0/" + name, value))
    refused(changed("accelmon_node/distribution", value))
    refused(changed("accelmon_node/addresses/0", value))
    refused(changed("accelerators/summary/nvidia/driver_version", value))
    if isinstance(value, (str, int, type(None))):
        refused(changed("accelerators/summary/nvidia/models", {value: 1}))
        refused(changed("accelerators/summary/" + str(value), {"count": 1, "models": {}, "states": {}}))


def test_quotes_and_other_scripts_are_names_like_others():
    for name in ('H100 "SXM"', "it's", "H100\\", "加速器"):
        assert facts.answer(changed("accelerators/summary/nvidia/models", {name: 1}))["accelerators"]["summary"]["nvidia"]["models"] == {name: 1}


def test_sizes():
    refused(changed("accelerators/devices", [device()] * (facts.MOST_ENTRIES + 1)))
    refused(changed("accelerators/summary/nvidia/models", {"m%d" % number: 0 for number in range(5000)}))
    assert "more than the 1 counted devices" in refused(changed("accelerators/summary/nvidia/models", {"a": 1, "b": 1}))
    deep = {}
    for dummy in range(5000):
        deep = {"a": deep}
    refused(changed("accelerators/summary/nvidia/models", deep))
    assert facts.answer(changed("accelerators/devices/0/else", deep))["accelerators"]["devices"][0] == device()


@pytest.mark.parametrize("links", [{"nvlnk": 18}, {"nvlink": -1}, {"nvlink": "18"}, {"nvlink": 1025}, ["nvlink"], {"infiniband": True}])
def test_links_are_counts_of_kinds_that_are_known(links):
    refused(changed("accelmon_node/links", links))
    told = facts.answer(changed("accelmon_node/links", {"nvlink": 18, "infiniband": 0}))
    assert told["accelmon_node"]["links"] == {"nvlink": 18, "infiniband": 0}


@pytest.mark.parametrize("told", [None, [], "x", 7, {"accelerators": {}}, {"accelmon_node": {}}, {"accelerators": [], "accelmon_node": {}}])
def test_other_shapes(told):
    refused(told)


@pytest.mark.parametrize("name", [
    "accelmon_accept", "accelmon_anything", "node_exporter_port", "group_names", "inventory_hostname", "groups", "limit", "lookup", "now"])
def test_a_fact_never_has_the_name_of_a_variable(name):
    with pytest.raises(facts.Untrusted, match=name):
        facts.refuse_forged({name: 1})
    with pytest.raises(AnsibleFilterError):
        unforged("secret", {name: 1})
    if name != "limit":  # as it is injected: ansible_limit
        refused(dict(told_facts(device()), **{name: 1}))


def own_variables():
    """Names of what roles set by default or for themselves, whoever may set it."""
    found = set()
    for part in ("defaults", "vars"):
        for path in sorted((MODULE.parents[2] / "roles").glob(f"*/{part}/main.yml")):
            found.update(yaml.safe_load(path.read_text()) or ())
    return sorted(found)


def test_a_fact_is_no_variable_of_a_role_either():
    # Facts win over defaults, and over what one role reads of another that has not run.
    assert {"service_files", "service_package", "rules_directory", "_accelmon_source", "_rules_state"} <= set(own_variables())
    assert [name for name in own_variables() if not facts.is_variable(name)] == []


def test_of_an_answer_nothing_goes_on_that_acts_on_the_run():
    told = {"changed": False, "observed": 1, "ansible_stats": {"data": {"a": 1}}, "ansible_facts": {"group_names": [], "discovered_interpreter_python": "/p"}}
    assert facts.let_through(told, ours=False) == {"changed": False, "observed": 1, "ansible_facts": {"discovered_interpreter_python": "/p"}}
    with pytest.raises(facts.Untrusted):
        facts.let_through(told, ours=True)
    assert set(facts.let_through(dict(told, ansible_facts=told_facts(device())), ours=True)) == {"changed", "observed", "ansible_facts"}


def test_facts_that_others_gather_are_none_of_our_business():
    usual = {"distribution": "Debian", "service_mgr": "systemd", "python": {}, "env": {}, "local": {}, "user_id": "root", "gather_subset": []}
    facts.refuse_forged(dict(usual, **told_facts(device())))
    assert unforged("value", usual) == "value"


def hostvars(**evil):
    """A fleet of which one host tells `evil`."""
    good = {"ansible_facts": told_facts(device(), device()), "accelmon_accelerator_source": "textfile"}
    return {"evil": dict(good, **evil), "gpu2": dict(good, inventory_hostname="gpu2", group_names=["accelerator_nodes"]),
            "mon01": dict(good, ansible_facts=told_facts(), group_names=["monitoring"])}


FORGED = dict(told_facts(device()), accelmon_serial=1)


def test_one_hosts_facts_are_no_reason_to_record_nobody():
    hosts = list(hostvars())
    made = json.loads(fleet_records(hosts, hostvars(ansible_facts=changed("accelerators/summary/nvidia/models/H100 SXM", "abc")), hosts))["records"]
    assert [(one["host"], one["answered"]) for one in made] == [("evil", False), ("gpu2", True), ("mon01", True)]
    made = json.loads(fleet_records(hosts, hostvars(ansible_facts=FORGED), hosts))["records"]
    assert [one["host"] for one in made] == ["gpu2", "mon01"]


def test_the_check_names_the_host_alone():
    found = check.fleet_check(GROUPS, hostvars(ansible_facts=FORGED))
    assert found["fleet"] == [] and list(found["hosts"]) == ["evil"]
    assert found["hosts"]["evil"].startswith("evil: facts: accelmon_serial = 1: ")


def test_batches_are_not_for_a_node_to_choose():
    assert batches(GROUPS, hostvars(ansible_facts=FORGED, accelmon_serial="1")) == []


def test_no_certificate_for_names_that_a_fact_chose():
    asked = {"access_request": {"csr": "x"}}
    evil = dict(asked, ansible_facts=dict(told_facts(), group_names=["monitoring"]), group_names=["monitoring"])
    fleet_of = hostvars(**evil)
    fleet_of["gpu2"].update(asked)
    assert [(one["host"], one["client"]) for one in certificate_requests(["evil", "gpu2"], fleet_of, "access_request")] == [("gpu2", False)]


@pytest.mark.parametrize("observed", [{}, {"ports": 7}, {"ports": [{}]}, {"clock_offset": "x"}, {"ports": [], "paths": {"/x": 7}}])
def test_preflight_judges_the_others_too(observed):
    good = {"ports": [], "paths": {}, "systemd_running": True, "python_version": "3.11.2", "fapolicyd": False, "missing": [], "clock_offset": 0.1}
    found = preflight.findings(["evil", "gpu2", "mon01"], hostvars(), {"evil": observed, "gpu2": good, "mon01": good}, {})
    assert [(one["host"], one["what"]) for one in found] == [("evil", "answer")]
    found = preflight.findings(["evil", "gpu2", "mon01"], hostvars(ansible_facts=FORGED), {"evil": good, "gpu2": good, "mon01": good}, {})
    assert [one["line"] for one in found] == [
        "error: evil: answer = facts: accelmon_serial = 1: a fact with the name of a variable, which it would override; "
        "find out what sets it on that host, and clear the fact cache if there is one"]


def test_untrusted_facts_are_told_with_their_host():
    with pytest.raises(facts.Untrusted) as error:
        fleet.facts_of(fleet.HostVariables({"h": {"ansible_facts": changed("accelmon_node/addresses", ["x"])}}, "h"))
    assert str(error.value).startswith("h: facts: accelmon_node.addresses.0 = x: not an IP address; ")
