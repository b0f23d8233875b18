"""Generations of units, and systemd's answers. Nothing is stubbed: files are real, the running process is this one's child."""

import os
import subprocess
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.host import systemd

UNIT = "[Unit]\nDescription=x\n\n[Service]\nExecStart=/bin/x\n"


def test_parse_show_keeps_values_with_equal_signs_and_unit_order():
    text = "MainPID=1\nEnvironment=A=b\n\nMainPID=0\nEnvironment=\n"
    assert systemd.parse_show(text) == [{"MainPID": "1", "Environment": "A=b"}, {"MainPID": "0", "Environment": ""}]


def test_generation_follows_unit_program_and_configuration(tmp_path):
    program, config = tmp_path / "program", tmp_path / "config"
    program.write_text("1")
    program.chmod(0o755)
    config.write_text("1")
    paths = [str(program), str(config), str(tmp_path / "missing")]
    first = systemd.generation(UNIT, paths)
    assert systemd.generation(UNIT, paths) == first
    assert systemd.generation(UNIT + "Nice=5\n", paths) != first
    config.write_text("2")
    second = systemd.generation(UNIT, paths)
    assert second != first
    os.utime(config, (1, 1))
    assert systemd.generation(UNIT, paths) == second, "a configuration counts by content alone"
    program.write_text("22")
    assert systemd.generation(UNIT, paths) != second


def test_a_program_reached_through_a_link_counts_by_where_the_link_leads(tmp_path):
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "x").write_text("same")
        (tmp_path / version / "x").chmod(0o755)
        os.utime(tmp_path / version / "x", (1, 1))
    link = tmp_path / "current"
    link.symlink_to("1")
    first = systemd.generation(UNIT, [str(link / "x")])
    link.unlink()
    link.symlink_to("2")
    assert systemd.generation(UNIT, [str(link / "x")]) != first


def test_running_generation_is_read_from_the_process():
    with subprocess.Popen(["sleep", "30"], env={"ACCELMON_GENERATION": "abc"}) as child:
        for attempt in range(50):  # until the child has replaced the copy of this process
            if systemd.running_generation(child.pid) == "abc":
                break
            time.sleep(0.02)
        assert systemd.running_generation(child.pid) == "abc"
        child.kill()
    assert systemd.running_generation(child.pid) is None
    assert systemd.running_generation(os.getpid()) is None


def test_with_generation_stands_in_the_service_section():
    text = systemd.with_generation(UNIT, "abc")
    assert "[Service]\nEnvironment=ACCELMON_GENERATION=abc\nExecStart=/bin/x\n" in text


def test_names():
    assert systemd.unit_name("node_exporter") == "accelmon-node-exporter.service"
    assert systemd.unit_name("x", "timer") == "accelmon-x.timer"
    assert systemd.user_name("node_exporter") == "accelmon-node-exporter"
