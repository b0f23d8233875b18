"""Grafana beside the real storage and the real Alertmanager. Simulated: Grafana itself (files/). What is shown is all that is around it.

The tests run in their order: later ones rest on what earlier ones left.
"""
import json

from conftest import eventually

HOST = "gmon"
FOLDER = "/etc/accelmon/grafana"


def ask(fleet, path, password="/etc/accelmon/secrets/grafana_password", base="http://127.0.0.1:3000", more=""):
    """(status, body) of a page, for the administrator unless there is no file with a password."""
    told = f"printf 'user = \"accelmon:%s\"' \"$(cat {password})\" | " if password else ""
    status, _line, body = fleet.shell(HOST, f"{told}curl --config {'-' if password else '/dev/null'} -sk -w '\\n%{{http_code}}' {more} "
                                            f"'{base}{path}'").rpartition("\n")[::-1]
    return int(status), body


def dashboards(fleet, **options):
    """Titles of all dashboards."""
    status, body = ask(fleet, "/api/search", **options)
    assert status == 200, (status, body)
    return [board["title"] for board in json.loads(body)]


def converge(fleet, *arguments, **options):
    run = fleet.play("molecule/grafana/part.yml", *arguments, **options)
    assert run.code == 0, run.output


def healthy(fleet, **options):
    """Whether both data sources answer Grafana, which shows them the password."""
    return [ask(fleet, f"/api/datasources/uid/{uid}/health", **options)[0] for uid in ("accelmon", "accelmon-alertmanager")] == [200, 200]


def test_nobody_gets_in_without_a_password(fleet):
    assert ask(fleet, "/api/health", password="")[0] == 200
    assert [ask(fleet, path, password="")[0] for path in ("/metrics", "/api/search", "/api/datasources")] == [401, 401, 401]
    assert ask(fleet, "/api/search", more="-u admin:admin", password="")[0] == 401
    assert "127.0.0.1:3000" in fleet.shell(HOST, "ss -ltn")


def test_the_data_sources_answer(fleet):
    eventually(lambda: healthy(fleet), "both data sources answer")


def test_secrets_are_for_those_who_need_them(fleet):
    found = fleet.shell(HOST, f"stat -c '%n %a %U %G' {FOLDER}/grafana.ini {FOLDER}/provisioning/datasources/accelmon.yml /etc/accelmon/secrets/grafana_*")
    assert [line.split()[1:] for line in found.splitlines()] == [
        ["640", "root", "accelmon-grafana"], ["640", "root", "accelmon"], ["640", "root", "accelmon"], ["640", "root", "accelmon"]]
    assert fleet.shell(HOST, f"grep -rlF \"$(cat /etc/accelmon/secrets/grafana_password)\" {FOLDER} /etc/systemd /run/systemd; true") == ""
    assert fleet.shell(HOST, "ps axww | grep -F \"$(cat /etc/accelmon/secrets/grafana_password)\" | grep -v grep; true") == ""
    assert fleet.shell(HOST, "stat -c %a /var/lib/accelmon/grafana").strip() == "750"


def test_the_packages_own_daemon_never_ran(fleet):
    assert fleet.shell(HOST, "systemctl is-enabled grafana-server; true").strip() == "masked"
    assert fleet.shell(HOST, "ls /var/lib/grafana").strip() == ""


def test_it_is_confined(fleet):
    assert fleet.shell(HOST, "ps -o user:32= -p $(systemctl show -P MainPID accelmon-grafana)").strip() == "accelmon-grafana"
    exposure = fleet.shell(HOST, "systemd-analyze security --no-pager accelmon-grafana | tail -1")
    assert float(exposure.partition("accelmon-grafana.service: ")[2].split()[0]) <= 1.3, exposure


def test_verify_looks_at_it(fleet):
    eventually(lambda: fleet.play("playbooks/verify.yml").code == 0, "the fleet is verified")


def test_the_stack_sees_whether_it_runs(fleet):
    eventually(lambda: fleet.values('up{job="grafana"}') == {HOST: 1}, "it is scraped")
    eventually(lambda: fleet.values("grafana_build_info") == {HOST: 1}, "its version is stored")
    assert fleet.values("by_a_user") == {}
    fleet.shell(HOST, "systemctl stop accelmon-grafana")
    eventually(lambda: fleet.values('up{job="grafana"}') == {HOST: 0}, "its end is seen")
    run = fleet.play("playbooks/verify.yml")
    assert run.code != 0 and "gmon: cannot reach the Grafana at http://127.0.0.1:3000/api/health: refused" in run.output, run.output
    fleet.shell(HOST, "systemctl start accelmon-grafana")
    eventually(lambda: healthy(fleet), "it answers again")


def test_what_users_made_outlives_another_address_and_another_password(fleet, tmp_path):
    """TLS and a path, where there were none; a dashboard made in Grafana and a file beside the collection's; data sources that still answer."""
    saved = "-X POST -H 'Content-Type: application/json' -d '{\"dashboard\": {\"title\": \"made by a user\"}}'"
    assert ask(fleet, "/api/dashboards/db", more=saved)[0] == 200
    fleet.shell(HOST, f"mkdir -p {FOLDER}/dashboards; echo '{{\"title\": \"put there by a user\"}}' > {FOLDER}/dashboards/theirs.json")
    settings = {"grafana_listen": "0.0.0.0", "grafana_root_url": "https://gmon.example.org/grafana/", "accelmon_stack_password": "an$ther_$$one"}
    converge(fleet, inventory=fleet.inventory_of(tmp_path / "inventory.json", settings=settings))
    base = "https://127.0.0.1:3000/grafana"
    assert {"made by a user", "put there by a user"} <= set(dashboards(fleet, base=base))
    assert ask(fleet, "/metrics", password="", base=base)[0] == 401
    assert fleet.shell(HOST, "curl -s --cacert /etc/accelmon/tls/ca.crt -o /dev/null -w '%{http_code}' https://localhost:3000/grafana/api/health") == "200"
    eventually(lambda: healthy(fleet, base=base), "both data sources answer")


def test_it_goes_and_what_users_made_stays(fleet):
    converge(fleet, "-e", "accelmon_grafana=false")
    left = fleet.shell(HOST, f"find {FOLDER} /etc/systemd/system/*grafana* /etc/accelmon/secrets/grafana* -type f 2>/dev/null; "
                             "dpkg-query -W grafana 2>/dev/null; true").split()
    assert left == [f"{FOLDER}/dashboards/theirs.json"]
    converge(fleet)
    assert {"made by a user", "put there by a user"} <= set(dashboards(fleet))
    eventually(lambda: healthy(fleet), "both data sources answer")


def test_upstreams_archive_takes_the_packages_place(fleet):
    """The same database, with the program of an archive; the same archive in a bundle changes nothing, and removal leaves the data alone."""
    digest = fleet.shell(HOST, "sha256sum /srv/upstream/*.tar.gz").split()[0]
    choice = json.dumps({"grafana_source": "release", "grafana_version": "12.1.0", "grafana_sha256": {"amd64": digest},
                         "grafana_url": "http://127.0.0.1:8000/grafana-{version}.linux-{architecture}.tar.gz"})
    converge(fleet, "-e", choice)
    command = fleet.shell(HOST, "tr '\\0' ' ' < /proc/$(systemctl show -P MainPID accelmon-grafana)/cmdline")
    assert "/opt/accelmon/grafana/current/bin/grafana server --homepath=/opt/accelmon/grafana/current " in command
    assert fleet.shell(HOST, "cat /opt/accelmon/grafana/current/public/index.html").strip() == "simulated"
    assert {"made by a user", "put there by a user"} <= set(dashboards(fleet))
    again = fleet.play("molecule/grafana/part.yml", "-e", choice, "-e", "grafana_source=bundle")
    assert again.code == 0 and again.changed() == 0, again.output
    converge(fleet, "-e", choice, "-e", "accelmon_grafana=false")
    assert fleet.shell(HOST, "ls -d /opt/accelmon/grafana /etc/systemd/system/accelmon-grafana* 2>/dev/null; true") == ""
    assert fleet.shell(HOST, "ls /var/lib/accelmon/grafana").split() == ["grafana.db"]
