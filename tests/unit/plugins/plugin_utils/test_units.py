"""Units from declarations. Nothing is stubbed; systemd itself reads what was written, where there is systemd-analyze."""

import pathlib
import plistlib
import shutil
import subprocess

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.services import launchd_job, systemd_unit
from ansible_collections.accelmon.fleet.plugins.plugin_utils import oneline
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import units
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import SANDBOX, quote, unit_text, word

ROOT = pathlib.Path(__file__).resolve().parents[4]


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


# Line feed, carriage return and NUL end a line for systemd; the others do for YAML, for editors, or for nobody, and are no text either.
BREAKS = ["\n", "\r", "\r\n", "\0", "\x0b", "\x0c", "\x1b", "\x1c", "\x7f", "\x85", "\u2028", "\u2029", "\t", "\ud800"]


@pytest.mark.parametrize("sign", BREAKS)
@pytest.mark.parametrize("place", [
    lambda text: {"Service": {"CPUAffinity": text}}, lambda text: {"Service": {"ExecStart": ["/bin/x", text]}},
    lambda text: {"Service": {"Environment": ["A=1", text]}}, lambda text: {"Service": {"Nice" + text: 5}}, lambda text: {"Service" + text: {"Nice": 5}},
    lambda text: {"Service": {"Nice": text}}, lambda text: {"X-" + text: {}}])
def test_nothing_becomes_a_line_of_its_own(sign, place):
    for text in (f"0{sign}ExecStartPre=/bin/evil", sign, f"0{sign}", f"{sign}0"):
        for given in ((place(text), None), ({"Service": {"ExecStart": ["/bin/x"]}}, place(text))):
            with pytest.raises(AnsibleFilterError) as raised:
                systemd_unit(*given)
            told = str(raised.value)
            assert len(told.splitlines()) == 1 and told.isprintable() and "[" in told, told


@pytest.mark.parametrize("value", ["a\\", "a\\\\\\", "\\", "a\\ ", ["ok", "a\\"]])
def test_a_backslash_at_the_end_joins_no_line(value):
    with pytest.raises(Problem, match="it ends with a backslash"):
        unit_text({"Service": {"Environment": value}})
    assert unit_text({"Service": {"ExecStart": ["/bin/x", "a\\"], "Environment": "a\\\\"}})


@pytest.mark.parametrize("overrides,words", [
    ({"Service": {"Nice": {"a": 1}}}, r"\[Service\] Nice = .*dict is not a directive value"), ({"Service": {"Nice": [[1]]}}, "list is not a directive value"),
    ({"Service": {"Nice": [None]}}, "nothing is not a directive value"), ({"Service": {"Nice": ["a", {"b": 1}]}}, "dict is not a directive value"),
    ({"Service": {"#Nice": 5}}, "#Nice: not a directive name"), ({"Service": {";x": 5}}, "not a directive name"),
    ({"Service": {"Nice=5 ": 5}}, "not a directive name"), ({"Service": {" Nice": 5}}, "not a directive name"),
    ({"Service": {True: 5}}, "not a directive name"),
    ({"Service": {"": 5}}, "not a directive name"), ({"Service]": {}}, "not a section of a unit"), ({1: {}}, "not a section of a unit"),
    ({"Service": "Nice=5"}, "not a mapping of directives"), ({"Service": None}, "not a mapping of directives"), (["Nice=5"], "not a mapping of sections"),
    ("Service", "not a mapping of sections"),
])
def test_what_is_no_directive_is_named(overrides, words):
    with pytest.raises(AnsibleFilterError, match=words):
        systemd_unit({"Service": {"ExecStart": ["/bin/x"]}}, overrides)
    with pytest.raises(Problem, match=words):
        units.check(overrides)


def test_what_a_site_may_say_is_said():
    overrides = {"Service": {"CPUQuota": "5%", "Nice": None, "ExecStartPre": ["-/bin/true", "a b"], "Environment": ["A=%H", "B=ä"], "ProtectHome": False},
                 "X-Site": {"Owner": "we; # us"}}
    units.check(overrides)
    text = unit_text({"Service": {"ExecStart": ["/bin/x"], "Nice": 3}}, overrides)
    assert directives(text, "Environment") == ["A=%H", "B=ä"] and directives(text, "ExecStartPre") == ['-/bin/true "a b"']
    assert directives(text, "Nice") == [] and directives(text, "ProtectHome") == ["no"] and directives(text, "Owner") == ["we; # us"]


def test_a_word_is_one_word_and_nothing_in_it_is_expanded():
    assert [word(text) for text in ("/srv/x", "/srv/50% a", 'a"b', "")] == ["/srv/x", '"/srv/50%% a"', '"a\\"b"', '""']


def test_systemd_reads_what_was_meant(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    arguments = ["--a=50%", "$HOME", "${HOME}", "a b", "'", '"', "\\", "x\\", ";", "#", "%n", "\\x41", "ä", ""]
    path = tmp_path / "accelmon-try.service"
    path.write_text(unit_text({"Unit": {"Description": "try"}, "Service": {"ExecStart": ["/bin/true", *arguments], "ReadWritePaths": word("-/srv/50% a")}}))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert str(path) not in done.stdout.decode() and "accelmon-try" not in done.stdout.decode(), done.stdout.decode()


def test_every_unit_is_written_here():
    """No template and no task of a role writes one by itself."""
    for path in [*ROOT.glob("roles/*/templates/*"), *ROOT.glob("roles/*/tasks/*.yml")]:
        assert "ExecStart=" not in path.read_text(encoding="utf-8") and "<plist" not in path.read_text(encoding="utf-8"), path


def test_a_job_of_launchd_is_written_with_the_same_care():
    job = yaml.safe_load((ROOT / "roles" / "all_smi" / "vars" / "main.yml").read_text(encoding="utf-8"))["all_smi_launchd"]
    job["ProgramArguments"] = ["/opt/homebrew/bin/all-smi", "api", "<&\">"]
    assert plistlib.loads(launchd_job(job).encode()) == job
    with pytest.raises(AnsibleFilterError, match=r"ProgramArguments: entry 2: it has a line break \(U\+000A\)"):
        launchd_job({"ProgramArguments": ["a", "b\nc"]})


def test_where_in_a_value_it_is():
    assert oneline.fault_in({"a": ["x", {"b": "c\r"}]}) == "a: entry 2: b: it has a line break (U+000D) at character 2; remove it and keep the text on one line"
    assert oneline.fault_in({"a\nb": 1}).startswith("the key a\\nb: it has a line break")
    assert oneline.fault_in({"a": [1, None, True, "ü – 8 × H100"]}) == ""
