"""A fleet goes again, and its hosts are as they were.

The tests follow upon each other: each begins with what the one before has left. Simulated: the accelerators; a host that does not answer, by a port on
which nothing listens.
"""

import time

from conftest import eventually

PLAYBOOK = "playbooks/uninstall.yml"
SITE_UNIT = "systemctl show --property MainPID,NRestarts,ExecStart prometheus-node-exporter; cat /etc/default/prometheus-node-exporter"
STATE = "/var/lib/accelmon"
# Of packages, which the distribution does not remove with them either: users, the directories that belong to these, and the lock of adduser.
OF_PACKAGES = ("user prometheus", "group prometheus", "user victoria", "group victoria", "user _victoria", "group _victoria",
               "/var/lib/prometheus", "/var/lib/victoria", "/run/adduser")


def uninstall(fleet, *arguments, **options):
    """Run the playbook; it has to succeed."""
    run = fleet.play(PLAYBOOK, *arguments, **options)
    assert run.code == 0, run.output
    return run


def differences(fleet, host):
    """What differs on a host from before, apart from what packages leave that are gone: the test purges those, and what they brought along."""
    fleet.shell(host, "new=$(dpkg-query -W -f '${Package}\\n' | grep -vxFf /root/packages); "
                      "test -z \"$new\" || DEBIAN_FRONTEND=noninteractive dpkg --purge $new >/dev/null")
    lines = fleet.shell(host, "/root/list.sh | diff /root/before - | grep '^[<>]'; true").splitlines()
    return [line for line in lines if not line[2:].startswith(OF_PACKAGES)]


def test_nothing_goes_without_a_limit_or_with_a_monitoring_host_in_it(fleet):
    for arguments, words in (((), "--limit is missing: this would uninstall the whole fleet"),
                             (("--limit", "nvidia1,mon1"), "--limit = nvidia1,mon1: it includes the monitoring host mon1")):
        run = fleet.play(PLAYBOOK, *arguments)
        assert run.code != 0 and words in run.output and run.changed() == 0, run.output


def test_check_mode_says_what_would_go_and_changes_nothing(fleet):
    # Without what collectors write every few seconds, and what systemd notes while they run.
    command = f"/root/list.sh | grep -v -e {STATE} -e ^unit -e ^/run/systemd/"
    before = fleet.shell("nvidia1", command)
    run = uninstall(fleet, "--limit", "nvidia1", "--check", "--diff")
    assert run.recap["nvidia1"]["changed"] and "user accelmon-node-exporter" in run.output, run.output
    assert fleet.shell("nvidia1", command) == before
    fleet.well()


def test_a_node_goes_without_an_alert_and_the_sites_exporter_stays(fleet):
    eventually(lambda: fleet.values('site_owner{team="ml"}') == {"theirs1": 1}, "the site's own file")
    site = fleet.shell("theirs1", SITE_UNIT)
    uninstall(fleet, "--limit", "theirs1")
    ended = time.time()
    assert fleet.shell("theirs1", SITE_UNIT) == site
    assert "site_owner" in fleet.shell("theirs1", "curl -sf 127.0.0.1:9100/metrics")
    assert differences(fleet, "theirs1") == []
    assert "two" not in fleet.shell("mon1", f"ls {STATE}/registry/*.json {STATE}/targets/* /var/lib/accelmon/textfile")
    assert uninstall(fleet, "--limit", "theirs1").changed() == 0
    # Rules are evaluated for longer than any of them waits.
    eventually(lambda: fleet.values("timestamp(accelmon_fleet_generation)", "cluster").get("default", 0) > ended + 60, "a minute went by")
    assert fleet.values('up{node="theirs1"}') == {}
    assert fleet.values('max_over_time(ALERTS{node="theirs1",alertstate="firing"}[1h])') == {}
    assert fleet.values('max_over_time(ALERTS{cluster="two",alertstate="firing"}[1h])') == {}


def test_the_fleet_goes_but_for_its_data_and_a_host_that_does_not_answer(fleet, tmp_path):
    gone = {"ansible_host": "127.0.0.1", "ansible_port": 9, "accelmon_address": "192.0.2.1"}
    inventory = fleet.inventory_of(tmp_path / "inventory.json", variables={"gone1": gone},
                                   groups={"monitoring": ["mon1"], "accelerator_nodes": ["nvidia1", "theirs1", "gone1"]})
    run = fleet.play(PLAYBOOK, "-e", "accelmon_uninstall=all", inventory=inventory)
    assert run.code == 4 and run.recap["gone1"]["unreachable"] == 1, run.output
    assert "not uninstalled: gone1; run again when they answer" in run.output and not any(counts["failed"] for counts in run.recap.values())
    assert differences(fleet, "nvidia1") == []
    assert uninstall(fleet, "-e", "accelmon_uninstall=all").changed() == 0
    left = fleet.shell("mon1", f"ls {STATE}").split()
    assert {"registry", "secrets", "victoriametrics"} <= set(left) <= {"alertmanager", "kept", "registry", "secrets", "victoriametrics", "vmagent"}
    assert fleet.shell("mon1", "ls -d /etc/accelmon /opt/accelmon /run/accelmon /etc/systemd/system/accelmon* 2>/dev/null; true") == ""
    assert fleet.shell("mon1", f"stat -c %U {STATE}/victoriametrics") == "accelmon-victoriametrics\n", "nobody else may get its number"


def test_it_comes_back_with_its_data(fleet):
    began = time.time()
    secrets = fleet.shell("mon1", f"cat {STATE}/secrets/secrets.json")
    fleet.site()
    fleet.well()
    assert fleet.shell("mon1", f"cat {STATE}/secrets/secrets.json") == secrets
    eventually(lambda: 0 < fleet.values('tfirst_over_time(site_owner{team="ml"}[2h])').get("theirs1", 0) < began, "what was stored before")


def test_nothing_is_left_if_the_data_go_too(fleet):
    run = uninstall(fleet, "-e", "accelmon_uninstall=all", "-e", "accelmon_uninstall_data=true")
    assert f"{STATE}/secrets" in run.output, "it says which data went"
    assert {host: differences(fleet, host) for host in fleet.hosts} == {host: [] for host in fleet.hosts}
    assert fleet.play(PLAYBOOK, "-e", "accelmon_uninstall=all", "-e", "accelmon_uninstall_data=true").changed() == 0
