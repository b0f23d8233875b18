"""The modules adopted_exporter and textfile_handover.

Stubbed: AnsibleModule; for the exporter also the list of listening sockets, which has only the web server of the test, and
/etc/systemd/system. Pages come from a real web server on 127.0.0.1 that reads a real directory, as node_exporter does.
"""

import http.server
import json
import os
import pathlib
import stat
import subprocess
import sys
import threading

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.host import ports
from ansible_collections.accelmon.fleet.plugins.modules import adopted_exporter, textfile_handover

THEIRS = "".join(f'node_gpu_{name}{{gpu="{gpu}"}} {value}\n' for gpu in (0, 1) for name, value in (("temperature_celsius", 33), ("power_draw_watts", 138.2)))
OURS = THEIRS.replace('"}', '",uuid="GPU-1",vendor="nvidia"}')


class Module:
    """What stands for AnsibleModule."""

    def __init__(self, check_mode=False, **params):
        self.params, self.check_mode, self.warnings = params, check_mode, []

    def selinux_enabled(self):
        return False

    def warn(self, text):
        self.warnings.append(text)


# An exporter of somebody else


class Exporter(http.server.ThreadingHTTPServer):
    directory = None
    page = 'node_exporter_build_info{version="1.5.0"} 1\nnode_scrape_collector_success{collector="textfile"} 1\n'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = self.server.page + "".join(path.read_text() for path in sorted(pathlib.Path(self.server.directory).glob("*.prom")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def exporter(tmp_path, monkeypatch):
    server = Exporter(("127.0.0.1", 0), Handler)
    server.directory = tmp_path / "theirs"
    server.directory.mkdir()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setattr(ports, "listeners", lambda: [("0.0.0.0", server.server_port, "0")])
    monkeypatch.setattr(ports, "owner", lambda inodes, port: None)
    monkeypatch.setattr(adopted_exporter, "UNITS", str(tmp_path))
    monkeypatch.setattr(adopted_exporter, "OWNED", str(tmp_path / "owned"))
    yield server
    server.shutdown()
    server.server_close()


def adoption(exporter, check_mode=False, **params):
    values = {"name": "node_exporter", "state": "present", "port": exporter.server_port, "path": "/metrics", "address": "127.0.0.1",
              "directory": str(exporter.directory), "collector": True, "timeout": 1}
    return adopted_exporter.Adoption(Module(check_mode, **dict(values, **params)))


def refused(exporter, **params):
    with pytest.raises(Failure) as error:
        adoption(exporter, **params).adopt()
    assert "\n" not in str(error.value)
    return str(error.value)


def of_devices(exporter, **params):
    return adoption(exporter, **dict({"name": "dcgm_exporter", "series": ["DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_TOTAL|DCGM_FI_DEV_FB_FREE"]}, **params))


def test_an_exporter_of_devices_is_proven_by_its_series_and_nothing_changes(exporter):
    exporter.page = 'DCGM_FI_DEV_FB_USED{gpu="0"} 1\nDCGM_FI_DEV_FB_FREE{gpu="0"} 2\n'
    assert of_devices(exporter).adopt_series() == {"changed": False, "url": f"http://127.0.0.1:{exporter.server_port}/metrics", "version": ""}
    assert not list(exporter.directory.iterdir())


def test_an_exporter_of_devices_without_a_series_is_refused_with_what_it_lacks(exporter):
    exporter.page = 'DCGM_FI_DEV_FB_USED{gpu="0"} 1\n# HELP DCGM_FI_DEV_FB_TOTAL in MiB\n'
    with pytest.raises(Failure) as error:
        of_devices(exporter, timeout=0).adopt_series()
    assert "lacks DCGM_FI_DEV_FB_TOTAL or DCGM_FI_DEV_FB_FREE; configure that exporter" in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(Failure) as error:
        of_devices(exporter, timeout=0, series=["a", "b", "c", "d"]).adopt_series()
    assert "lacks a, b, c and 1 more;" in str(error.value)


def test_our_own_exporter_is_not_adopted(exporter, tmp_path):
    (tmp_path / "accelmon-dcgm-exporter.service").write_text("")
    with pytest.raises(Failure, match="dcgm_exporter_managed = adopt: the collection's accelmon-dcgm-exporter.service is still"):
        of_devices(exporter).adopt_series()


def test_nobody_answering_is_said_in_one_line(exporter, monkeypatch):
    monkeypatch.setattr(ports, "listeners", lambda: [])
    with pytest.raises(Failure, match="dcgm_exporter_port = 1: no dcgm_exporter answers on this host"):
        of_devices(exporter, port=1).adopt_series()


def test_a_good_exporter_is_proven_by_one_file_and_that_once(exporter):
    marker = exporter.directory / "accelmon_adopted.prom"
    before = adoption(exporter, check_mode=True).adopt()
    assert before["changed"] and not marker.exists()
    result = adoption(exporter).adopt()
    assert (result["changed"], result["version"], result["url"]) == (True, "1.5.0", f"http://127.0.0.1:{exporter.server_port}/metrics")
    assert stat.S_IMODE(marker.stat().st_mode) == 0o644 and result["diff"]["after"] == marker.read_text()
    assert not adoption(exporter).adopt()["changed"]
    assert adoption(exporter, state="absent").remove()["changed"]
    assert list(exporter.directory.iterdir()) == []
    assert not adoption(exporter, state="absent").remove()["changed"]


def test_the_file_goes_from_where_it_was(exporter, tmp_path):
    former, record = tmp_path / "former", tmp_path / "owned" / "node_exporter.json"
    exporter.directory.rename(former)
    exporter.directory.mkdir()
    here, exporter.directory = exporter.directory, former
    adoption(exporter).adopt()
    record.write_text(json.dumps(dict(json.loads(record.read_text()), package="p")))
    exporter.directory = here
    assert adoption(exporter, check_mode=True).adopt()["changed"] and list(former.iterdir())
    assert adoption(exporter).adopt()["changed"] and not list(former.iterdir())
    assert json.loads(record.read_text()) == {"leaves": [str(here / "accelmon_adopted.prom")], "package": "p"}
    assert not adoption(exporter).adopt()["changed"]
    assert adoption(exporter, state="absent", directory=str(former)).remove()["changed"] and not list(here.iterdir())
    assert json.loads(record.read_text()) == {"package": "p"}


def test_a_directory_that_it_does_not_read_is_refused_and_left_clean(exporter, tmp_path):
    adoption(exporter).adopt()
    other = tmp_path / "other"
    other.mkdir()
    text = refused(exporter, directory=str(other))
    assert text.startswith(f"accelmon_textfile_directory = {other}: files written there do not appear on http://127.0.0.1:")
    assert "start it with --collector.textfile.directory=" in text and list(other.iterdir()) == []
    assert "this host has no such directory" in refused(exporter, directory=str(tmp_path / "missing"))


def test_the_directory_that_it_reads_is_named(exporter, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", f"--collector.textfile.directory={exporter.directory}"]) as child:
        monkeypatch.setattr(ports, "owner", lambda inodes, port: {"pid": child.pid, "program": "node_exporter"})
        text = refused(exporter, directory=str(other))
        child.kill()
    assert text.endswith(f"; it reads {exporter.directory}; set accelmon_textfile_directory to that")


def test_another_collector_of_accelerators_is_refused(exporter):
    (exporter.directory / "gpu.prom").write_text(THEIRS)
    text = refused(exporter)
    assert text.startswith("accelmon_exporters = auto: another collector on this host already exports node_gpu_power_draw_watts, ")
    assert "adopt_textfile_gpu.yml" in text
    assert adoption(exporter, collector=False).adopt()["changed"], "nothing of ours exports them"
    (exporter.directory / "gpu.prom").write_text(OURS)
    assert not adoption(exporter).adopt()["changed"]


def test_what_is_no_node_exporter_is_refused(exporter):
    exporter.page = "other_info 1\n"
    assert "is not from node_exporter; correct node_exporter_port" in refused(exporter)
    exporter.page = 'node_scrape_collector_success{collector="cpu"} 1\n'
    assert "its textfile collector is disabled" in (exporter.directory.rmdir() or refused(exporter))


def test_nobody_there_is_refused(exporter, monkeypatch):
    monkeypatch.setattr(ports, "listeners", lambda: [])
    assert refused(exporter, port=1).startswith("node_exporter_port = 1: no node_exporter answers on this host (http://127.0.0.1:1/metrics: ")


def test_our_own_unit_has_to_go_first(exporter, tmp_path):
    (tmp_path / "accelmon-node-exporter.service").write_text("")
    assert "the collection's accelmon-node-exporter.service is still on this host" in refused(exporter)


def test_a_broken_file_of_theirs_is_told(exporter):
    exporter.page += "node_textfile_scrape_error 1\n"
    made = adoption(exporter)
    made.adopt()
    assert "a file in its textfile directory is invalid" in made.module.warnings[0]


# A script of somebody else

CRONTAB = """\
# m h dom mon dow command; get_gpu_metrics.sh is below
MAILTO=secret@example.com
5 3 * * * /bin/true
* * * * * /usr/local/bin/get_gpu_metrics.sh
#* * * * * /old/get_gpu_metrics.sh
* * * * * sleep 30; /usr/local/bin/get_gpu_metrics.sh
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "cron").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "cron" / "root").write_text(CRONTAB)
    (tmp_path / "cron" / "root").chmod(0o600)
    (tmp_path / "cron" / "other").write_text("1 * * * * /bin/true\n")
    (tmp_path / "text" / "gpu.prom").write_text(THEIRS)
    (tmp_path / "text" / "site.prom").write_text("site_age_seconds 42\n")
    return tmp_path


def handover(site, check_mode=False, **params):
    values = {"state": "present", "script": "get_gpu_metrics.sh", "directory": str(site / "text"), "crontabs": [str(site / "cron" / "*")],
              "keep": str(site / "keep"), "wait": 0}
    return textfile_handover.Handover(Module(check_mode, **dict(values, **params)))


def everything(site):
    return {str(path.relative_to(site)): (path.read_text(), stat.S_IMODE(path.stat().st_mode)) for path in sorted(site.rglob("*")) if path.is_file()}


def test_taken_out_and_put_back_is_as_before(site):
    before = everything(site)
    made = handover(site, check_mode=True)
    assert made.take_out() == {"crontabs": [str(site / "cron" / "root")], "files": [str(site / "text" / "gpu.prom")]}
    assert everything(site) == before and len(made.diff) == 2

    made = handover(site)
    made.take_out()
    text, mode = everything(site)["cron/root"]
    active = [line for line in text.splitlines() if "get_gpu_metrics" in line and not line.startswith("#")]
    assert (active, mode) == ([], 0o600) and text.splitlines()[:3] == CRONTAB.splitlines()[:3]
    assert sorted(os.listdir(site / "text")) == ["site.prom"] and (site / "keep" / "gpu.prom").read_text() == THEIRS
    assert "MAILTO" not in str(made.diff), "the rest of a crontab is nobody's business"
    made = handover(site)
    made.take_out()
    assert made.diff == []

    made = handover(site)
    made.bring_back()
    assert everything(site) == before and len(made.diff) == 2
    made = handover(site)
    made.bring_back()
    assert made.diff == []


def test_a_run_under_way_is_waited_for_and_else_nothing_is_changed(site, tmp_path):
    before = everything(site)
    script = tmp_path / "get_gpu_metrics.sh"
    script.write_text("#!/bin/sh\nsleep 60 & wait\n")
    script.chmod(0o755)
    with subprocess.Popen(["/bin/sh", str(script)], start_new_session=True) as child:
        with pytest.raises(Failure, match="it has been running for more than 0 seconds"):
            handover(site).take_out()
        os.killpg(child.pid, 9)
    script.unlink()
    assert everything(site) == before
    handover(site).take_out()


def test_a_file_with_other_series_is_refused_before_anything_changes(site):
    (site / "text" / "gpu.prom").write_text(THEIRS + "fan_speed 3\n")
    before = everything(site)
    with pytest.raises(Failure, match="gpu.prom also contains fan_speed"):
        handover(site).take_out()
    assert everything(site) == before


def test_no_device_may_be_lost(site):
    handover(site).take_out()
    ours = site / "text" / "accelmon_accelerators.prom"
    with pytest.raises(Failure, match="it exported the device 0, 1, but the collection's collector does not"):
        handover(site).prove()
    # What the kernel's log said of devices does not mean that anything can read them now.
    ours.write_text("".join(f'{name}{{vendor="nvidia",gpu="{gpu}",kind="xid",code="79"}} 0\n' for gpu in (0, 1) for name in (
        "node_gpu_errors_total", "node_gpu_error_last_timestamp_seconds", "node_gpu_error_recovery_action")))
    with pytest.raises(Failure, match="it exported the device 0, 1, but the collection's collector does not"):
        handover(site).prove()
    ours.write_text("".join(line + "\n" for line in OURS.splitlines() if "power" not in line))
    made = handover(site)
    assert made.prove() == {"missing": ['node_gpu_power_draw_watts{gpu="0"}', 'node_gpu_power_draw_watts{gpu="1"}']}
    assert made.module.warnings[0].startswith("2 series of get_gpu_metrics.sh are not exported by the collection's collector")
    ours.write_text(OURS)
    assert handover(site).prove() == {"missing": []}


def test_it_is_not_put_back_beside_our_collector(site):
    handover(site).take_out()
    (site / "text" / "accelmon_accelerators.prom").write_text(OURS)
    with pytest.raises(Failure, match="remove the collection's collector first"):
        handover(site).bring_back()
    assert sorted(os.listdir(site / "text")) == ["accelmon_accelerators.prom", "site.prom"]


def test_a_file_that_is_there_again_is_not_overwritten(site):
    handover(site).take_out()
    (site / "text" / "gpu.prom").write_text("node_gpu_temperature_celsius 1\n")
    made = handover(site)
    made.bring_back()
    assert "exists again" in made.module.warnings[0]
    assert (site / "text" / "gpu.prom").read_text() == "node_gpu_temperature_celsius 1\n"
