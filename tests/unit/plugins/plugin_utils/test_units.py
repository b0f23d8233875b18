"""Units from declarations. Nothing is stubbed."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.units import SANDBOX, quote, unit_text


def directives(text, key):
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(key + "=")]


def test_a_service_gets_the_sandbox_and_keeps_its_exceptions():
    text = unit_text({"Service": {"ExecStart": ["/bin/x"], "ProtectHome": "read-only", "PrivateDevices": None}})
    assert directives(text, "ProtectHome") == ["read-only"]
    assert directives(text, "PrivateDevices") == []
    for key in set(SANDBOX) - {"ProtectHome", "PrivateDevices"}:
        assert directives(text, key), key


def test_overrides_win_and_lists_repeat():
    text = unit_text({"Service": {"Nice": 0, "DeviceAllow": ["char-drm rw", "/dev/kfd rw"]}}, {"Service": {"Nice": 5}})
    assert directives(text, "Nice") == ["5"]
    assert directives(text, "DeviceAllow") == ["char-drm rw", "/dev/kfd rw"]


def test_a_command_line_is_passed_on_as_it_is():
    text = unit_text({"Service": {"ExecStart": ["/bin/x", "--a=50%", "--b=$HOME", "two words", 'say "hi"', ""]}})
    assert directives(text, "ExecStart") == ['/bin/x --a=50%% --b=$$HOME "two words" "say \\"hi\\"" ""']


def test_quote_leaves_ordinary_arguments_alone():
    assert quote("--web.listen-address=[::1]:9100") == "--web.listen-address=[::1]:9100"


def test_a_timer_has_no_sandbox_and_no_daemon_defaults():
    text = unit_text({"Timer": {"OnUnitActiveSec": "15s"}, "Install": {"WantedBy": "timers.target"}}, daemon=False)
    assert "[Service]" not in text and "Restart=" not in text
    assert text.index("[Timer]") < text.index("[Install]")


def test_sections_stand_in_their_usual_order():
    text = unit_text({"Service": {"ExecStart": ["/bin/x"]}, "Unit": {"Description": "x"}})
    assert text.index("[Unit]") < text.index("[Service]") < text.index("[Install]")


def test_an_empty_command_line_is_left_out():
    assert directives(unit_text({"Service": {"ExecStart": ["/bin/x"], "ExecStartPost": [], "ReadWritePaths": []}}), "ExecStartPost") == []
