"""An alert and a receiver of notifications that somebody changes without the inventory. Simulated: the receiver, a program that keeps what it gets."""

import json
import pathlib

import pytest

from conftest import eventually

ALERT, CHANNEL = "playbooks/change_alert.yml", "playbooks/change_channel.yml"
FILE = "/var/lib/accelmon/choices/choices.json"
NAME = ["-e", "accelmon_change_alert=StorageFilling"]
PORT, LOG, UNIT = 18099, "/tmp/accelmon-notifications", "accelmon-test-receiver"


def test_a_changed_alert_is_loaded_and_kept_until_it_is_taken_back(fleet):
    made = fleet.play(ALERT, *NAME, "-e", "accelmon_change_for=17m", "-e", "accelmon_change_reason=test").output
    assert "loaded: StorageFilling: for 1020 s" in made, made
    assert json.loads(fleet.shell("mon1", f"cat {FILE}"))["alerts"]["StorageFilling"]["reason"] == "test"
    back = fleet.play(ALERT, *NAME, "-e", "accelmon_change_state=inventory").output
    assert "loaded: StorageFilling: for 3600 s" in back, back


@pytest.mark.costly
def test_a_preview_changes_nothing_and_the_status_lists_what_is_kept(fleet):
    arguments = [*NAME, "-e", "accelmon_change_state=absent", "-e", "accelmon_change_reason=quiet", "-e", "accelmon_change_until=1h"]
    before = fleet.shell("mon1", f"cat {FILE} /etc/accelmon/rules/*")
    preview = fleet.play(ALERT, "--check", "--diff", *arguments).output
    assert "StorageFilling: enabled: True -> False" in preview and "vector(time()) >=" in preview, preview
    assert fleet.shell("mon1", f"cat {FILE} /etc/accelmon/rules/*") == before
    try:
        assert fleet.play(ALERT, *arguments).code == 0
        assert "chosen: StorageFilling: enabled=false until" in fleet.play("playbooks/status.yml").output
        fleet.site("--limit", "mon1")
        assert "vector(time()) >=" in fleet.shell("mon1", "grep -A60 'alert: StorageFilling$' /etc/accelmon/rules/accelmon-alerts.yml")
    finally:
        assert fleet.play(ALERT, *NAME, "-e", "accelmon_change_state=inventory").code == 0


@pytest.mark.costly
def test_a_channel_delivers_and_its_secret_is_in_root_only_files(fleet, tmp_path):
    program = (pathlib.Path(__file__).parents[2] / "shared/tests/webhook_receiver.py").read_text(encoding="utf-8")
    fleet.shell("mon1", f"cat > /root/receiver.py <<'END'\n{program}\nEND\nrm -f {LOG}; "
                        f"systemd-run --unit {UNIT} --collect python3 /root/receiver.py {PORT} {LOG}")
    (tmp_path / "secret.yml").write_text(json.dumps({"accelmon_change_channel_secret": f"http://127.0.0.1:{PORT}/of-a-secret"}))
    channel = ["-e", "accelmon_change_channel=clicked"]
    try:
        made = fleet.play(CHANNEL, *channel, "-e", "accelmon_change_channel_type=webhook", "-e", f"@{tmp_path / 'secret.yml'}",
                          "-e", "accelmon_change_until=1h", "-e", "accelmon_change_reason=test", "-vv", "--diff")
        assert made.code == 0 and "mon1: clicked (webhook): delivered" in made.output, made.output
        assert "of-a-secret" not in made.output and "of-a-secret" not in fleet.shell("mon1", f"cat {FILE}")
        eventually(lambda: "/of-a-secret" in fleet.shell("mon1", f"cat {LOG}"), "the test arrives")
        assert not fleet.shell("mon1", "grep -rl of-a-secret /etc/accelmon /var/lib/accelmon | xargs -r -I{} find {} -perm /o=r")
        fleet.site("--limit", "mon1")
        assert "chosen: clicked: type=webhook until" in fleet.play("playbooks/status.yml").output
        assert "clicked (webhook): delivered" in fleet.play("playbooks/test_notification.yml").output
    finally:
        gone = fleet.play(CHANNEL, *channel, "-e", "accelmon_change_channel_state=absent", "-e", "accelmon_change_reason=done")
        fleet.shell("mon1", f"systemctl stop {UNIT}; rm -f {LOG} /root/receiver.py", check=False)
    assert gone.code == 0, gone.output
    assert not fleet.shell("mon1", "grep -rl of-a-secret /etc/accelmon /var/lib/accelmon", check=False).strip()
