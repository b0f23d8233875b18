"""How the stack listens and is reached. Nothing is stubbed."""

import pathlib
import subprocess

import pytest
import yaml

from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_it_wants_a_password_and_speaks_no_tls(address):
    found = stack.listener(address, 8428)
    assert found["scheme"] == "http" and found["server_name"] == "" and found["web_config"].endswith("/stack.yml")
    assert "-httpAuth.password=file:///etc/accelmon/secrets/stack_password" in found["vm_arguments"]
    assert not [word for word in found["vm_arguments"] if word.startswith("-tls")]
    assert found["probe"] == {"path": "/-/ready", "password_file": "/etc/accelmon/secrets/stack_password"}


@pytest.mark.parametrize(("address", "listen", "target"), [
    ("10.0.0.5", "10.0.0.5:8428", "10.0.0.5:8428"), ("", ":8428", "127.0.0.1:8428"), ("0.0.0.0", "0.0.0.0:8428", "127.0.0.1:8428"),
    ("::", "[::]:8428", "[::1]:8428"), ("2001:db8::5", "[2001:db8::5]:8428", "[2001:db8::5]:8428")])
def test_beyond_loopback_it_speaks_tls(address, listen, target):
    found = stack.listener(address, 8428)
    assert (found["listen"], found["target"], found["url"]) == (listen, target, f"https://{target}")
    assert {"-tls", "-tlsCertFile=/etc/accelmon/tls/host.crt", "-tlsKeyFile=/etc/accelmon/tls/host.key"} <= set(found["vm_arguments"])
    assert found["web_config"].endswith("/stack_tls.yml") and found["server_name"] == "localhost"
    assert found["probe"]["scheme"] == "https" and found["probe"]["ca_file"] == "/etc/accelmon/tls/ca.crt"


@pytest.mark.parametrize("password", ["simple", 'a"b\\c', "%{HOME}", "%%: #'", "- {x}"])
def test_vmauth_gets_the_password_as_it_is_and_nothing_to_fill_in(password):
    text = stack.vmauth_config(password)
    assert "%" not in text
    assert yaml.safe_load(text) == {"users": [{"username": "accelmon", "password": password, "url_prefix": "http://127.0.0.1:8428"}]}


def test_a_site_writes_with_its_own_passwords_in_its_own_name_alone():
    users = yaml.safe_load(stack.vmauth_config("of-the-stack", "", "of-all", {"east": ["new%{X}", "old"], "w.1": ["other"]}))["users"][1:]
    assert [(user["username"], user["password"], [(one["src_paths"], one["url_prefix"]) for one in user["url_map"]]) for user in users] == [
        ("accelmon-site", password, [(["/api/v1/write"], f"http://127.0.0.1:8428{label}")])
        for password, label in (("of-all", ""), ("new%{X}", "?extra_label=cluster=east"), ("old", "?extra_label=cluster=east"),
                                ("other", "?extra_label=cluster=w.1"))]


@pytest.mark.parametrize("network,vmauth,words", [
    ("", "exit 0", "no service a network of its own"), ("unshare", "echo x -httpListenAddr", "is older than 1.111"),
    ("unshare", "echo -httpInternalListenAddr", "")])
def test_the_storage_starts_in_a_network_of_its_own_behind_a_vmauth_that_asks_everybody(tmp_path, network, vmauth, words):
    """Stubbed: vmauth, and where the kernel's words are about a network of its own, by a folder for /proc."""
    role = yaml.safe_load((pathlib.Path(__file__).resolve().parents[4] / "roles/victoriametrics/vars/main.yml").read_text())
    shell, option, script, _program = role["victoriametrics_unit"]["Service"]["ExecStartPre"]
    assert (shell, option) == ("+/bin/sh", "-c"), "as root, in the service's network"
    (tmp_path / "vmauth").write_text("#!/bin/sh\n" + vmauth + "\n")
    (tmp_path / "vmauth").chmod(0o755)
    for name, text in (("self/ns", "net:[2]" if network else "net:[1]"), ("1/ns", "net:[1]")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "net").symlink_to(text)
    (tmp_path / "net").mkdir()
    (tmp_path / "net/fib_trie").write_text("  |-- 127.0.0.1\n     /32 host LOCAL\n")
    done = subprocess.run(["/bin/sh", "-c", script.replace("/proc", str(tmp_path)), str(tmp_path / "vmauth")], stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, words in done.stdout, done.stdout.count("\n")) == (1 if words else 0, True, 1 if words else 0)


def test_programs_that_have_no_debug_log_what_they_have():
    assert [stack.vm_log_level(level) for level in ("debug", "info", "warn", "error")] == [
        "-loggerLevel=INFO", "-loggerLevel=INFO", "-loggerLevel=WARN", "-loggerLevel=ERROR"]


def test_a_client_shows_the_password_by_its_file_and_checks_names_in_the_order_of_the_addresses():
    services = [{"url": "https://a:1", "server_name": "a"}, {"url": "https://b:1", "server_name": "localhost"}]
    assert stack.vm_client("notifier", services) == [
        "-notifier.url=https://a:1", "-notifier.url=https://b:1", "-notifier.basicAuth.username=accelmon",
        "-notifier.basicAuth.passwordFile=/etc/accelmon/secrets/stack_password", "-notifier.tlsCAFile=/etc/accelmon/tls/ca.crt",
        "-notifier.tlsServerName=a", "-notifier.tlsServerName=localhost"]
    plain = stack.vm_client("remoteWrite", [{"url": "http://127.0.0.1:8428", "server_name": ""}], "/api/v1/write")
    assert plain[0] == "-remoteWrite.url=http://127.0.0.1:8428/api/v1/write" and not [word for word in plain if "tls" in word]
    assert stack.vm_client("notifier", []) == []


def member(address, listen=""):
    return {"address": address, "port": 9093, "gossip_port": 9094, "listen": listen}


def test_one_alone_is_on_loopback_and_gossips_with_nobody():
    assert stack.places(member("mon1"), ["10.0.0.1"], False) == ("127.0.0.1", "")
    found = stack.alertmanagers("mon1", {"mon1": member("mon1", "127.0.0.1")})
    assert found["services"] == [{"host": "mon1", "url": "http://127.0.0.1:9093", "target": "127.0.0.1:9093", "scheme": "http", "server_name": ""}]
    assert not found["pair"] and found["peers"] == [] and set(found["own"]) == {"alertmanager"}


def test_several_are_reached_with_tls_each_by_its_own_name():
    found = stack.alertmanagers("mon1", {"mon1": member("mon1", ""), "mon2": member("2001:db8::2")})
    assert [(service["url"], service["server_name"]) for service in found["services"]] == [
        ("https://127.0.0.1:9093", "localhost"), ("https://[2001:db8::2]:9093", "2001:db8::2")]
    assert found["pair"] and found["peers"] == ["[2001:db8::2]:9094"]
    assert found["own"]["alertmanager"]["host"] == "mon1"


@pytest.mark.parametrize(("address", "listen", "own", "expected"), [
    ("10.0.0.1", "", ["10.0.0.9", "10.0.0.1"], ("10.0.0.1", "10.0.0.1")),
    ("mon1", "", ["10.0.0.9", "10.0.0.1"], ("", "10.0.0.9")),
    ("mon1", "10.0.0.1", ["10.0.0.9"], ("10.0.0.1", "10.0.0.1")),
    ("mon1", "0.0.0.0", ["10.0.0.9"], ("0.0.0.0", "10.0.0.9")),
    ("mon1", "", [], ("", ""))])
def test_gossip_is_at_one_address_of_the_host(address, listen, own, expected):
    assert stack.places(member(address, listen), own, True) == expected


@pytest.mark.parametrize(("gossip", "listen", "own", "expected"), [
    ("10.0.0.1", "10.0.0.1", ["10.0.0.1", "fd00::1"], "10.0.0.1"),
    ("10.0.0.9", "", ["10.0.0.9"], "0.0.0.0"),
    ("10.0.0.9", "", ["10.0.0.9", "fd00::1"], "::"),
    ("10.0.0.9", "0.0.0.0", ["10.0.0.9", "fd00::1"], "0.0.0.0")])
def test_gossip_is_heard_at_either_family_of_a_name(gossip, listen, own, expected):
    assert stack.gossip_listener(gossip, listen, own) == expected


@pytest.mark.parametrize("urls, files", [
    ([], []), (["http://127.0.0.1:8428"], []), (["http://127.0.0.1:8428", "https://10.0.0.5:9093"], ["/etc/accelmon/tls/ca.crt"])])
def test_a_program_is_restarted_for_the_authority_of_services_that_speak_tls(urls, files):
    services = [{"url": url, "server_name": "x"} for url in urls]
    assert stack.authorities(services) == files
    assert any("tlsCAFile" in argument for argument in stack.vm_client("notifier", services)) == bool(files)


def test_one_alertmanager_alone_opens_no_port_for_gossip():
    assert stack.gossip_arguments(False, "", "", [], "/g.yml") == ["--cluster.listen-address="]


def test_alertmanagers_gossip_with_each_other_over_tls():
    assert stack.gossip_arguments(True, "0.0.0.0:9094", "[fd00::5]:9094", ["10.0.0.6:9094", "10.0.0.7:9094"], "/g.yml") == [
        "--cluster.listen-address=0.0.0.0:9094", "--cluster.advertise-address=[fd00::5]:9094", "--cluster.tls-config=/g.yml",
        "--cluster.pushpull-interval=5s", "--cluster.peer=10.0.0.6:9094", "--cluster.peer=10.0.0.7:9094"]
