"""Secrets are where they belong and nowhere else. Simulated: the accelerators."""

import json
import pathlib
import subprocess
import time

import pytest
from conftest import STACK_PASSWORD, eventually
from secrets_of import PLACES, leaks, secrets

WATCH = "while sleep 0.2; do cat /proc/[0-9]*/cmdline; done 2>/dev/null | tr '\\0' ' ' > /run/processes.log"


@pytest.fixture(name="known", scope="module")
def known_secrets(fleet):
    """What is looked for. Fails when there is nothing to look for."""
    found = secrets(fleet)
    origins = set().union(*found.values())
    for host in fleet.monitors:
        assert f"{host}:/etc/accelmon/secrets/stack_password" in origins
    for host in fleet.hosts:
        assert f"{host}:/etc/accelmon/tls/host.key" in origins
    assert any(origin.startswith("mon1:/var/lib/accelmon/secrets/") for origin in origins)
    return found


def test_every_host_has_a_key_of_its_own(fleet, known):
    keys = [origins for origins in known.values() if any(origin.endswith("/host.key") for origin in origins)]
    assert {host for origins in keys for host in origins} == {f"{host}:/etc/accelmon/tls/host.key" for host in fleet.hosts}
    assert all(len(origins) == 1 for origins in keys)


def test_a_run_with_all_its_words_shows_none(fleet, known, tmp_path):
    """Passwords and web configuration are written anew, so that the diff would have something to show."""
    for host in fleet.hosts:
        fleet.shell(host, f"systemd-run --unit=watch-processes sh -c \"{WATCH.replace('$', chr(92) + '$')}\"")
    log = tmp_path / "processes.log"
    with log.open("wb") as stream:
        own = subprocess.Popen(["sh", "-c", "while sleep 0.2; do cat /proc/[0-9]*/cmdline; done 2>/dev/null"], stdout=stream)
    try:
        fleet.shell("mon2", "rm -f /etc/accelmon/secrets/stack_password /etc/accelmon/web/stack.yml /etc/accelmon/web/exporter.yml")
        fleet.shell("nvidia1", "rm -f /etc/accelmon/web/exporter.yml")
        run = fleet.site("-vvv", "--diff", env={"ANSIBLE_DEBUG": "0"})
        assert run.changed() > 0 and "/etc/accelmon/web" in run.output, run.recap
        assert leaks(known, run.output) == []
    finally:
        own.terminate()
        own.wait()
        for host in fleet.hosts:
            fleet.shell(host, "systemctl stop watch-processes")
    processes = log.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    assert "site.yml" in processes and leaks(known, processes) == []
    for host in fleet.hosts:
        seen = fleet.shell(host, "cat /run/processes.log; rm /run/processes.log; ps axww -o args")
        assert "node-exporter" in seen and leaks(known, seen) == [], host
    fleet.well()


def test_no_journal_has_one(fleet, known):
    for host in fleet.hosts:
        journal = fleet.shell(host, "journalctl --no-pager --all --output=json | tr -d '\\\\'")
        assert "ansible-" in journal, "modules write what they are called with to the journal"
        assert leaks(known, journal) == [], host


def test_units_and_their_environment_have_none(fleet, known):
    for host in fleet.hosts:
        said = fleet.shell(host, "cat /etc/systemd/system/accelmon-*; systemctl show --all 'accelmon-*'")
        assert leaks(known, said) == [], host


def test_files_with_secrets_are_where_they_belong_and_nobody_else_can_read_them(fleet, known):
    listed = "/run/what-to-look-for"
    for host in fleet.hosts:
        fleet.shell(host, f"umask 077; cat > {listed} <<'END'\n" + "\n".join(known) + "\nEND")
        try:
            files = fleet.shell(host, f"grep -rlF -f {listed} --exclude={pathlib.Path(listed).name} /etc /home /opt /root /run /srv /tmp /usr/local /var "
                                      "--devices=skip 2>/dev/null | xargs -r stat -c '%a %U:%G %n'").splitlines()
        finally:
            fleet.shell(host, f"rm {listed}")
        assert files, host
        for line in files:
            mode, owner, path = line.split(" ", 2)
            assert path.startswith(PLACES), f"{host}: {line}"
            assert int(mode, 8) & 0o037 == 0 and owner in ("root:root", "root:accelmon"), f"{host}: {line}"
        private = fleet.shell(host, "stat -c %a /var/lib/accelmon/secrets 2>/dev/null || echo 700").strip()
        assert private == "700", host


def test_a_users_process_on_a_host_reads_none(fleet, known):
    for host in fleet.hosts:
        files = "/etc/accelmon/secrets/* /etc/accelmon/web/* /etc/accelmon/tls/* /var/lib/accelmon/secrets/*"
        said = fleet.shell(host, f"su ansible -s /bin/sh -c 'cat {files}' 2>&1", check=False)
        assert "Permission denied" in said, host
        assert leaks(known, said) == [], host


def test_facts_have_none(fleet, known, tmp_path):
    """A fact cache, as AWX keeps one, takes no secret along."""
    fleet.site(env={"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path)})
    cached = "".join(path.read_text() for path in tmp_path.iterdir() if path.is_file())
    assert "accelerators" in cached and leaks(known, cached.replace("\\n", "\n")) == []


def rotate(fleet, what, known):
    """Run rotate.yml; it has to succeed and to show neither what was nor what is. The secrets afterwards."""
    run = fleet.play("playbooks/rotate.yml", "-vvv", "--diff", "-e", f"accelmon_rotate={what}")
    assert run.code == 0, run.output
    after = secrets(fleet)
    assert leaks(known, run.output) == [] and leaks(after, run.output) == []
    return after


def test_passwords_and_certificates_are_replaced_without_a_gap(fleet, known):
    old = fleet.shell("mon1", f"cat {STACK_PASSWORD}").strip()
    begin = time.time()
    after = rotate(fleet, "stack,exporter,certificates", known)
    kept = {origin for secret, origins in known.items() if secret in after for origin in origins}
    assert not [origin for origin in kept if origin.endswith(("_password", "/stack.yml", "/host.key"))], kept
    fleet.well()
    window = f'(up{{job="node_exporter"}}[{time.time() - begin + 5:.0f}s])'
    lost = eventually(lambda: fleet.values(f"count_over_time{window} - sum_over_time{window}"), "scrapes since then")
    assert set(lost) == set(fleet.hosts) and max(lost.values()) <= 2, f"scrapes that failed: {lost}"
    for place in ("https://127.0.0.1:8428", "http://127.0.0.1:8429", "http://127.0.0.1:8880", "https://127.0.0.1:9093"):
        said = fleet.shell("mon1", f"curl -k -s -o /dev/null -w '%{{http_code}}' -u accelmon:{old} {place}/metrics")
        assert said == "401", f"{place} takes the old password"
    assert fleet.site().changed() == 0


def alerts_arrive(fleet):
    """Whether every monitoring host delivers its alerts to both alertmanagers, and these see each other."""
    for host in fleet.monitors:
        page = fleet.get(f"https://{host}:9093/api/v2/status", "--cacert", "/etc/accelmon/tls/ca.crt", monitor=host)
        if len(json.loads(page)["cluster"]["peers"]) != 2:
            return False
        failed = 'sum(rate(vmalert_alerts_send_errors_total[15s])) == 0'
        if not fleet.query(failed, monitor=host):
            return False
    return True


def test_the_authority_is_replaced_while_both_are_trusted(fleet, known):
    count = "grep -c BEGIN /etc/accelmon/tls/ca.crt"
    use = "curl -g -s -o /dev/null --max-time 10 -w '%{http_code}' --cacert /etc/accelmon/tls/ca.crt --cert /run/old/host.crt --key /run/old/host.key"
    place = next(dict(labels)["instance"] for labels in eventually(lambda: fleet.query('up{job="node_exporter",node="nvidia1"}'), "a target"))
    fleet.shell("mon1", "mkdir -m 700 -p /run/old && cp /etc/accelmon/tls/host.* /run/old/")
    try:
        assert fleet.shell("mon1", f"{use} https://{place}/metrics") == "200"
        rotate(fleet, "ca", known)
        fleet.well()
        assert {fleet.shell(host, count).strip() for host in fleet.hosts} == {"2"}
        eventually(lambda: alerts_arrive(fleet), "alerts arrive while both are trusted")
        rotate(fleet, "ca_end", known)
        fleet.well()
        eventually(lambda: alerts_arrive(fleet), "alerts arrive with the next authority alone")
        assert {fleet.shell(host, count).strip() for host in fleet.hosts} == {"1"}
        assert fleet.shell("mon1", f"{use} https://{place}/metrics", check=False) == "000", "a certificate of the former authority opens nothing"
    finally:
        fleet.shell("mon1", "rm -r /run/old")
