"""What stands beside a service. Nothing is stubbed; the texts are read as systemd's units."""

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.declaration import beside as service_parts

LISTEN = [{"address": "10.0.0.7", "port": 9401}, {"address": "127.0.0.1", "port": 1}]
UNIX = {"to": "/run/accelmon/all_smi/api.sock"}
HEALTH = {"to": UNIX["to"], "ready": "/-/ready", "rows": "all_smi_"}


def directives(text, key):
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(key + "=")]


def test_a_service_without_them_has_none():
    assert service_parts("x", []) == {"units": {}, "files": [], "leaves": []}


@pytest.mark.parametrize("address,stream", [("10.0.0.7", "10.0.0.7:9401"), ("fd00::7", "[fd00::7]:9401"), ("", "9401"), ("gpu7", "gpu7:9401")])
def test_systemd_listens_where_the_service_should(address, stream):
    made = service_parts("all_smi", [{"address": address, "port": "9401"}], UNIX)["units"]["front.socket"]
    assert directives(made, "ListenStream") == [stream] and directives(made, "FreeBind") == ["yes"]


def test_an_open_front_asks_nobody():
    made = service_parts("all_smi", LISTEN, UNIX)
    front = made["units"]["front.service"]
    assert directives(front, "ExecStart")[0].endswith("/accelmon_front.py --to=/run/accelmon/all_smi/api.sock --open --page=/metrics")
    assert "--config" not in front and len(made["files"]) == 4
    assert directives(front, "User") == ["accelmon-all-smi"] and directives(front, "SupplementaryGroups") == []
    assert directives(front, "RestrictAddressFamilies") == ["AF_UNIX"] and directives(front, "CapabilityBoundingSet") == [""]
    assert directives(front, "Requires") == ["accelmon-all-smi-front.socket"] and "[Install]" not in front


@pytest.mark.parametrize("tls,auth,flags", [("managed", "none", "--tls"), ("files", "basic", "--tls --auth"), ("none", "basic", "--auth")])
def test_a_closed_front_is_told_what_it_must_ask_for(tls, auth, flags):
    made = service_parts("all_smi", LISTEN, UNIX, tls=tls, auth=auth)
    command = directives(made["units"]["front.service"], "ExecStart")[0]
    assert command.endswith(f"--config=/etc/accelmon/web/exporter.yml {flags} --page=/metrics")
    assert directives(made["units"]["front.service"], "SupplementaryGroups") == ["accelmon"]
    assert [one["path"] for one in made["files"]] == [
        f"/opt/accelmon/all_smi_parts/accelmon_{name}.py" for name in ("front", "bcrypt", "command", "inner")]
    assert "def hashed(" in made["files"][1]["content"]


def test_a_front_may_lead_to_loopback_and_to_other_pages():
    front = service_parts("amd_exporter", LISTEN, {"to": "127.0.0.1:5001", "pages": ["/metrics", "/x"]}, tls="managed")["units"]["front.service"]
    assert "--to=127.0.0.1:5001" in front and "--page=/metrics --page=/x" in front
    assert directives(front, "RestrictAddressFamilies") == ["AF_UNIX AF_INET AF_INET6"]


def test_a_watch_knows_where_to_ask_and_what_goes_with_it():
    made = service_parts("all_smi", LISTEN, UNIX, HEALTH, "yes", directory="/srv/text")
    watch = made["units"]["watch.service"]
    for argument in ("--unit=accelmon-all-smi.service", "--to=" + UNIX["to"], "--page=/metrics", "--ready=/-/ready", "--rows=all_smi_",
                     "--output=/srv/text/accelmon_exporter_all_smi.prom"):
        assert f" {argument}" in directives(watch, "ExecStart")[0]
    assert directives(watch, "ReadWritePaths") == ["-/srv/text"] and directives(watch, "CapabilityBoundingSet") == ["CAP_DAC_OVERRIDE"]
    assert directives(made["units"]["watch.timer"], "OnUnitActiveSec") == ["30"]
    assert made["leaves"] == ["/var/lib/accelmon/watch/all_smi.json", "/srv/text/accelmon_exporter_all_smi.prom"]
    alone = service_parts("all_smi", LISTEN, {}, HEALTH, True)
    assert [one["path"] for one in alone["files"]] == ["/opt/accelmon/all_smi_parts/accelmon_watch.py", "/opt/accelmon/all_smi_parts/accelmon_inner.py"]
    assert len({one["path"] for one in made["files"]}) == len(made["files"]) == 5


@pytest.mark.parametrize("arguments,words", [
    ((LISTEN, {"to": "nowhere"}), "to = nowhere: not an endpoint"), ((LISTEN, {"to": ":80"}), "not an endpoint"), (([], UNIX), "an entry to service_listen"),
    ((LISTEN, {"pages": ["/"]}), "set `to`"), ((LISTEN, {}, {}, True), "needs an endpoint to check"),
])
def test_what_is_missing_is_named(arguments, words):
    with pytest.raises(Problem, match=words):
        service_parts("all_smi", *arguments)


def test_no_text_of_a_part_becomes_a_line_or_is_expanded():
    made = service_parts("all_smi", LISTEN, UNIX, HEALTH, True, directory="/srv/50% a")
    assert directives(made["units"]["watch.service"], "ReadWritePaths") == ['"-/srv/50%% a"']
    for given in (dict(directory="/srv\nUser=root"), dict(front={"to": "/run/x\nUser=root"}), dict(health={"to": UNIX["to"], "rows": "a\nb"})):
        with pytest.raises(Problem, match="all_smi: .* it has a line break"):
            service_parts("all_smi", LISTEN, **{**dict(front=UNIX, health=HEALTH, watch=True), **given})


def test_what_leads_into_a_network_of_its_own_passes_everything_on_whatever_exporters_ask_for():
    made = service_parts("victoriametrics", LISTEN, {"to": "127.0.0.1:8427", "private": True}, tls="managed", auth="basic")
    front = made["units"]["front.service"]
    assert directives(front, "ExecStart") == ["/usr/bin/python3 -IS /opt/accelmon/victoriametrics_parts/accelmon_pass.py --to=127.0.0.1:8427"]
    assert directives(front, "SupplementaryGroups") == [] and directives(front, "PrivateNetwork") == ["yes"]
    assert directives(front, "JoinsNamespaceOf") == ["accelmon-victoriametrics.service accelmon-victoriametrics-agent.service"]
    assert [one["path"] for one in made["files"]] == ["/opt/accelmon/victoriametrics_parts/accelmon_pass.py"]
    assert directives(made["units"]["front.socket"], "ListenStream") == ["10.0.0.7:9401"]


def test_a_network_of_its_own_has_no_unix_socket():
    with pytest.raises(Problem, match="a Unix socket has no network"):
        service_parts("x", LISTEN, {"to": "/run/x.sock", "private": True})
