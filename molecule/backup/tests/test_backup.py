"""A monitoring host comes back from its backup, as itself and on a new host, also from a copy in a bucket.

The tests follow upon each other. Real: systemd, site.yml, VictoriaMetrics, Alertmanager, openssl, rclone, and an S3 server in memory (lab/s3.go).
Simulated: the accelerators; a lost host, whose services are stopped.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
import yaml

from conftest import CHECKOUT, eventually

sys.path.insert(0, str(CHECKOUT / "lab"))

import cache  # noqa: E402  pylint: disable=import-error,wrong-import-position

FOLDER = "/mnt/backup/accelmon/mon1"
HOME = "/var/lib/accelmon"
HARDENING = yaml.safe_load((CHECKOUT / "plugins/plugin_utils/catalogue/hardening.yml").read_text(encoding="utf-8"))["services"]
# The first backup is restored after all others.
KEEP = {"accelmon_backup_keep": 9}
BUCKET_KEY = "key-of-the-bucket-0123456789"
SILENCES = "http://127.0.0.1:9093/api/v2/silences"


def restore(fleet, path, *arguments, **options):
    """Run restore.yml."""
    key = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "backup.key"
    return fleet.play("playbooks/restore.yml", "-e", f"accelmon_restore_from={path}", "-e", f"accelmon_restore_key={key}", *arguments, **options)


def silences(fleet, monitor):
    """Comments of the silences that act."""
    return [one["comment"] for one in json.loads(fleet.get(SILENCES, monitor=monitor)) if one["status"]["state"] == "active"]


def oldest(fleet, monitor):
    """When a node was first seen, as the storage has it."""
    return fleet.values('tfirst_over_time(up{node="nvidia1",job="node_exporter"}[2h])', monitor=monitor).get("nvidia1")


@pytest.fixture(scope="module", name="began")
def _began(fleet):
    """When the node was first seen, before anything was lost; there is a silence."""
    eventually(lambda: oldest(fleet, "mon1"), "the node is scraped")
    run = fleet.play("playbooks/silence.yml", "-e", "accelmon_silence=node=nvidia1", "-e", "accelmon_silence_comment=repair")
    assert run.code == 0, run.output
    return oldest(fleet, "mon1")


@pytest.fixture(scope="module", name="backup")
def _backup(fleet, began):
    """Path of a backup that backup.yml has taken."""
    run = fleet.play("playbooks/backup.yml")
    assert run.code == 0 and f"{FOLDER}/" in run.output, run.output
    return f"{FOLDER}/" + fleet.shell("mon1", f"ls {FOLDER}").split()[-1]


@pytest.fixture(scope="module", name="bucket")
def _bucket(fleet):
    """Variables of a bucket, whose server runs on the node."""
    archive = next(cache.place(*one)[0] for one in cache.WANTED if one[0] == "s3")
    if not os.path.exists(archive):
        pytest.skip("there is no S3 server; make lab-cache builds it")
    subprocess.run(["podman", "cp", archive, fleet.container("nvidia1") + ":/root/s3.tar.gz"], check=True)
    fleet.shell("nvidia1", "tar -xf /root/s3.tar.gz -C /usr/local/bin && systemd-run --quiet --unit=lab-s3 --setenv=S3_ACCESS_KEY=AKIALAB "
                           f"--setenv=S3_SECRET_KEY={BUCKET_KEY} /usr/local/bin/s3 0.0.0.0:9900 backups")
    address = fleet.shell("nvidia1", "hostname -I").split()[0]
    return {"accelmon_backup_s3_url": "s3://backups/fleet", "accelmon_backup_s3_endpoint": f"http://{address}:9900",
            "accelmon_backup_s3_access_key": "AKIALAB", "accelmon_backup_s3_secret_key": BUCKET_KEY, **KEEP}


def test_the_storage_knows_of_the_silence(fleet, began):  # pylint: disable=unused-argument
    """As who may ask the storage alone does. Its author and its comment stay in Alertmanager."""
    about = '[{"isEqual":true,"isRegex":false,"name":"node","value":"nvidia1"}]'
    eventually(lambda: set(fleet.values("accelmon_fleet_silence_seen_timestamp_seconds", "matchers")) == {about}, "the silence is a series")
    eventually(lambda: [dict(labels)["node"] for labels in fleet.query("time() - accelmon_fleet_silences_last_success_timestamp_seconds < 120")] == ["mon1"],
               "mon1 looks for silences again and again")


def test_its_age_and_size_are_recorded_and_nothing_secret_is_in_clear(fleet, backup):
    eventually(lambda: fleet.values("accelmon_backup_success") == {"mon1": 1}, "the last run is recorded as a success")
    eventually(lambda: fleet.values("accelmon_backup_size_bytes").get("mon1", 0) > 10000, "so is its size")
    secret = fleet.shell("mon1", "cat /etc/accelmon/secrets/stack_password").strip()
    assert fleet.shell("mon1", f"grep -rlF -e '{secret}' -e 'PRIVATE KEY' {backup}; true") == ""
    assert fleet.shell("mon1", f"find {backup} -perm /077") == ""
    assert fleet.shell("mon1", "stat -c %a:%U /etc/accelmon/backup/secret").strip() == "600:root"
    assert fleet.shell("mon1", f"cp -a {backup} {FOLDER}/20260101T030000Z; cp -a {backup} {FOLDER}/20260102T030000Z") == ""
    assert fleet.play("playbooks/backup.yml").code == 0
    kept = fleet.shell("mon1", f"ls {FOLDER}").split()
    assert len(kept) == 3 and kept[0] == "20260102T030000Z", "accelmon_backup_keep, and the newest of the week before"
    fleet.shell("mon1", f"rm -r {FOLDER}/20260102T030000Z")


def test_the_newest_backup_passes_its_test_beside_the_live_storage(fleet, backup):
    process = fleet.shell("mon1", "systemctl show -p MainPID accelmon-victoriametrics")
    run = fleet.play("playbooks/backup_test.yml")
    assert run.code == 0 and "intact" in run.output, run.output
    assert fleet.shell("mon1", f"ls {HOME}/backup_test").split() == ["last.json"]
    last = json.loads(fleet.shell("mon1", f"cat {HOME}/backup_test/last.json"))
    assert last["success"] == 1 and last["found"] > 100 and last["path"] >= backup
    assert fleet.shell("mon1", "systemctl show -p MainPID accelmon-victoriametrics") == process
    eventually(lambda: fleet.values("accelmon_backup_test_success") == {"mon1": 1}, "the test is recorded as a success")
    for name in ("backup", "backup_test"):
        told = fleet.shell("mon1", f"systemd-analyze security --no-pager accelmon-{name.replace('_', '-')}.service | tail -1")
        recorded = HARDENING[name]["exposure"]
        assert recorded - 0.3 <= float(told.split(": ")[1].split()[0]) <= recorded, told


def test_a_broken_backup_fails_its_test(fleet, backup):
    """It leaves the unit failed: what comes after must get to its end all the same."""
    newest = f"{FOLDER}/" + fleet.shell("mon1", f"ls {FOLDER}").split()[-1]
    fleet.shell("mon1", f"cp -a {newest}/state.tar.cms /root/; printf x >> {newest}/state.tar.cms")
    run = fleet.play("playbooks/backup_test.yml")
    assert run.code != 0 and "state.tar.cms: missing or damaged" in run.output, run.output
    eventually(lambda: fleet.values("accelmon_backup_test_success") == {"mon1": 0}, "the test is recorded as a failure")
    eventually(lambda: fleet.values("accelmon_backup_test_last_success_timestamp_seconds").get("mon1", 0) > time.time() - 3600, "the success before is known")
    fleet.shell("mon1", f"mv /root/state.tar.cms {newest}/")
    assert fleet.shell("mon1", "systemctl is-failed accelmon-backup-test").strip() == "failed"


def test_a_damaged_backup_changes_nothing(fleet, backup):
    bad = "/mnt/backup/accelmon/bad"
    fleet.shell("mon1", f"cp -a {backup} {bad}; printf x >> {bad}/state.tar.cms")
    listing = f"find {HOME}/registry {HOME}/secrets -type f | sort | xargs sha256sum"
    before = fleet.shell("mon1", listing)
    run = restore(fleet, bad)
    assert run.code != 0 and "missing or damaged" in run.output and run.changed() == 0, run.output
    assert fleet.shell("mon1", listing) == before
    # Somebody who can write there makes the backup consistent again, and signs it with a secret of their own.
    sign = "import hmac; print(hmac.new(b'theirs', open('manifest.json', 'rb').read(), 'sha256').hexdigest())"
    fleet.shell("mon1", f"cp -a {backup}/state.tar.cms {bad}/; cd {bad}; sed -i 's/mon1/mon9/' manifest.json; python3 -c \"{sign}\" > manifest.hmac")
    run = restore(fleet, bad)
    assert run.code != 0 and "not what was signed with this accelmon_backup_secret" in run.output and run.changed() == 0, run.output
    fleet.shell("mon1", f"rm {bad}/manifest.hmac")
    run = restore(fleet, bad)
    assert run.code != 0 and "not signed" in run.output and run.changed() == 0, run.output
    assert fleet.shell("mon1", listing) == before
    checked = restore(fleet, backup, "--check")
    assert checked.code == 0 and fleet.shell("mon1", listing) == before, checked.output


def test_the_same_host_has_everything_back(fleet, backup, began):
    secrets = fleet.shell("mon1", f"cat {HOME}/secrets/secrets.json")
    fleet.shell("mon1", f"systemctl stop accelmon-victoriametrics accelmon-alertmanager; rm -rf {HOME}/victoriametrics {HOME}/alertmanager/* {HOME}/registry "
                        f"{HOME}/secrets")
    run = restore(fleet, backup)
    assert run.code == 0, run.output
    assert fleet.shell("mon1", f"cat {HOME}/secrets/secrets.json") == secrets
    assert oldest(fleet, "mon1") == began
    assert silences(fleet, "mon1") == ["repair"]
    fleet.well()
    assert fleet.site().changed() == 0


def test_each_backup_is_copied_to_the_bucket(fleet, backup, bucket):  # pylint: disable=unused-argument
    fleet.shell("mon1", "! command -v rclone && apt-get -qq update")
    run = fleet.site("--diff", "-e", json.dumps(bucket))
    assert BUCKET_KEY not in run.output
    assert fleet.site("-e", json.dumps(bucket)).changed() == 0
    assert fleet.shell("mon1", "stat -c %a:%U /etc/accelmon/backup/s3.json").strip() == "600:root"
    run = fleet.play("playbooks/backup.yml", "-vvv", "-e", json.dumps(bucket))
    assert run.code == 0 and "; copied to s3://backups/fleet/mon1/" in run.output, run.output
    assert fleet.shell("mon1", f"journalctl | grep -c {BUCKET_KEY[1:]}; true").strip() == "0"
    # A server that is away.
    fleet.shell("mon1", "sed -i s/:9900/:9901/ /etc/accelmon/backup/s3.json")
    run = fleet.play("playbooks/backup.yml", "-e", json.dumps(bucket))
    assert run.code != 0 and "complete, but its copy in s3://backups/fleet/mon1 has failed" in run.output and "connection refused" in run.output, run.output
    assert fleet.shell("mon1", "sed -i s/:9901/:9900/ /etc/accelmon/backup/s3.json; systemctl is-failed accelmon-backup").strip() == "failed"
    fleet.site("-e", json.dumps(bucket))
    last = json.loads(fleet.shell("mon1", f"cp {HOME}/backup/last.json /root/; cat /root/last.json"))
    assert last["success"] == 1 and last["copy"].startswith("s3://backups/fleet/mon1/"), "site.yml has tried again"
    fleet.site("-e", json.dumps(KEEP))
    assert fleet.shell("mon1", f"ls /etc/accelmon/backup; grep -r {BUCKET_KEY} /etc /opt/accelmon {HOME}; true").split() == [
        "backup.json", "recipient.pem", "secret"]


def test_a_new_host_takes_its_place_and_nodes_need_no_change(fleet, backup, began, tmp_path):
    archive = subprocess.run(["podman", "exec", fleet.container("mon1"), "tar", "-C", FOLDER, "-cf", "-", pathlib.Path(backup).name],
                             check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["podman", "exec", "-i", fleet.container("mon2"), "tar", "-C", "/mnt/backup/accelmon", "-xf", "-"], check=True, input=archive)
    fleet.shell("mon1", "systemctl stop 'accelmon-*'")
    inventory = fleet.inventory_of(tmp_path / "inventory.json", hosts=["mon2", "nvidia1"], groups={"monitoring": ["mon2"], "accelerator_nodes": ["nvidia1"]})
    start = time.time()
    run = restore(fleet, f"/mnt/backup/accelmon/{pathlib.Path(backup).name}", inventory=inventory)
    assert run.code == 0 and "changed: [nvidia1]" not in run.output, run.output
    assert oldest(fleet, "mon2") == began
    assert silences(fleet, "mon2") == ["repair"]
    eventually(lambda: fleet.values('timestamp(up{node="nvidia1"} == 1)', monitor="mon2").get("nvidia1", 0) > start, "the new host scrapes the node")


def test_a_new_host_fetches_its_backup_from_the_bucket(fleet, backup, began, bucket, tmp_path):  # pylint: disable=unused-argument
    url = json.loads(fleet.shell("mon1", "cat /root/last.json"))["copy"]
    fleet.shell("mon2", f"systemctl stop 'accelmon-*'; rm -rf {HOME}/victoriametrics {HOME}/alertmanager/* {HOME}/registry {HOME}/secrets; apt-get -qq update")
    inventory = fleet.inventory_of(tmp_path / "inventory.json", hosts=["mon2", "nvidia1"], groups={"monitoring": ["mon2"], "accelerator_nodes": ["nvidia1"]},
                                   settings=bucket)
    run = restore(fleet, url, "--check", inventory=inventory)
    assert run.code != 0 and "install the package rclone on this host" in run.output, run.output
    fleet.shell("mon2", "apt-get -qq install --yes --no-install-recommends rclone")
    run = restore(fleet, url, "--check", "-vvv", inventory=inventory)
    assert run.code == 0 and f"{url}: intact" in run.output and BUCKET_KEY not in run.output, run.output
    fleet.shell("mon2", "apt-get -qq purge --yes rclone")
    run = restore(fleet, url, inventory=inventory)
    assert run.code == 0 and "changed: [nvidia1]" not in run.output, run.output
    assert oldest(fleet, "mon2") == began
    assert silences(fleet, "mon2") == ["repair"]
    assert "fetched" not in fleet.shell("mon2", f"ls {HOME}/backup").split()
