"""An alert that somebody changes without the inventory."""

import json

CHANGE = "playbooks/change_alert.yml"
FILE = "/var/lib/accelmon/choices/choices.json"


def test_a_changed_alert_is_loaded_and_kept_until_it_is_taken_back(fleet):
    arguments = ["-e", "accelmon_change_alert=StorageFilling", "-e", "accelmon_change_for=17m", "-e", "accelmon_change_reason=test"]
    preview = fleet.play(CHANGE, "--check", "--diff", *arguments).output
    assert "StorageFilling: for: 1h -> 17m" in preview and "for: 17m" in preview, preview
    fleet.shell("mon1", f"test ! -e {FILE}")
    made = fleet.play(CHANGE, *arguments).output
    assert "loaded: StorageFilling: for 1020 s" in made, made
    kept = json.loads(fleet.shell("mon1", f"cat {FILE}"))
    assert kept["generation"] == 1 and kept["alerts"]["StorageFilling"]["reason"] == "test"
    assert "chosen: StorageFilling: for=17m" in fleet.play("playbooks/status.yml").output
    back = fleet.play(CHANGE, "-e", "accelmon_change_alert=StorageFilling", "-e", "accelmon_change_state=inventory").output
    assert "loaded: StorageFilling: for 3600 s" in back, back
