"""Node exporters that somebody else runs, and a script that is replaced.

Simulated: the accelerators, cron (a timer that runs what is active in the crontab), and a container (a unit in a mount
namespace of its own).
"""

import subprocess
import time

import pytest
from conftest import eventually

TEXT = "/var/lib/prometheus/node-exporter"
NAMES = ("utilization_percent", "memory_used_bytes", "memory_total_bytes", "temperature_celsius", "power_draw_watts", "power_limit_watts")
# How many series of one name the page has: of the script, and of our collector.
COUNT = ("curl -sf 127.0.0.1:9100/metrics"
         " | awk '/^node_gpu_temperature_celsius/ { if (/vendor=/) ours++; else theirs++ } END { print theirs + 0, ours + 0 }'")


def page(fleet, host):
    """{series: value} of the host's page."""
    lines = fleet.shell(host, "curl -sf 127.0.0.1:9100/metrics").splitlines()
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def their_unit(fleet, host):
    """What must stay as it is."""
    unit = {"script1": "prometheus-node-exporter", "inside1": "node_exporter"}[host]
    return fleet.shell(host, f"systemctl show --property MainPID,NRestarts,FragmentPath,DropInPaths,ExecStart {unit}; cat /proc/$(systemctl show "
                             f"--value --property MainPID {unit})/cmdline | tr '\\0' ' '; stat -c '%U:%G %a' $(ls -d {TEXT} /srv/metrics/text 2>/dev/null)")


@pytest.mark.parametrize("host,directory,vendor,count", [("script1", TEXT, "nvidia", 2), ("inside1", "/srv/metrics/text", "amd", 1)])
def test_it_is_relied_on_and_left_as_it_is(fleet, host, directory, vendor, count):
    before = their_unit(fleet, host)
    found = page(fleet, host)
    assert found[f'accelmon_adopted_info{{directory="{directory}",exporter="node_exporter"}}'] == 1
    assert len([series for series in found if series.startswith("node_gpu_info{") and f'vendor="{vendor}"' in series]) == count
    fleet.site("--limit", host)
    assert their_unit(fleet, host) == before
    assert fleet.shell(host, "ls /etc/systemd/system").count("accelmon-node-exporter") == 0
    assert "root:root 755" in before, "its directory is not ours to own"


def test_everything_arrives_in_the_storage(fleet):
    fleet.well()
    devices = {"script1": 2, "inside1": 1}
    eventually(lambda: fleet.values('site_owner{team="ml"}') == {"script1": 1}, "the site's own file")
    eventually(lambda: fleet.values('count by (node) (accelerator_memory_total_bytes)') == devices, "what is recorded")
    eventually(lambda: fleet.values('count by (node) (node_gpu_temperature_celsius{job="node_exporter"})') == devices, "what is scraped")


def test_names_and_values_are_those_of_the_script(fleet):
    """What moves is read by both within a moment, and again until both saw the same."""
    def both_agree():
        fleet.shell("script1", "mkdir -p /tmp/again && /usr/local/bin/get_gpu_metrics.sh /tmp/again && systemctl start accelmon-textfile-collector")
        theirs = dict(line.rsplit(" ", 1) for line in fleet.shell("script1", "cat /tmp/again/gpu_metrics.prom").splitlines())
        assert set(theirs) == {f'node_gpu_{name}{{gpu="{gpu}"}}' for name in NAMES for gpu in (0, 1)}
        ours = {}
        for series, value in page(fleet, "script1").items():
            name, _brace, labels = series.partition("{")
            if name.startswith("node_gpu_") and name[9:] in NAMES:
                gpu = next(label for label in labels.split(",") if label.startswith("gpu="))
                assert f"{name}{{{gpu}}}" not in ours, "once"
                ours[f"{name}{{{gpu}}}"] = value
        return ours == {series: float(value) for series, value in theirs.items()}
    eventually(both_agree)


def test_a_directory_that_it_does_not_read_is_an_error_that_names_the_right_one(fleet):
    run = fleet.play("site.yml", "--limit", "inside1", "-e", "accelmon_textfile_directory=/textfile")
    assert run.code != 0 and "it reads /srv/metrics/text (which it sees as /textfile); set accelmon_textfile_directory to that" in run.output, run.output
    assert fleet.shell("inside1", "ls -A /textfile") == ""


def test_put_back_and_replaced_again_never_exports_both(fleet):
    def counts(*arguments):
        fleet.shell("script1", "rm -f /tmp/stop")
        watcher = subprocess.Popen(["podman", "exec", fleet.container("script1"), "sh", "-c", f"until test -e /tmp/stop; do {COUNT}; sleep 0.2; done"],
                                   stdout=subprocess.PIPE, text=True)
        try:
            run = fleet.play("playbooks/adopt_textfile_gpu.yml", *arguments)
            assert run.code == 0, run.output
            time.sleep(5)
        finally:
            fleet.shell("script1", "touch /tmp/stop")
        seen = [tuple(map(int, line.split())) for line in watcher.communicate(timeout=20)[0].splitlines()]
        assert not [pair for pair in seen if pair[0] and pair[1]], "both sources at a time"
        return run, seen[0], seen[-1]

    crontab = fleet.shell("script1", "cat /etc/cron.d/gpu")
    assert "# accelmon.fleet replaced this: * * * * * root /usr/local/bin/get_gpu_metrics.sh\n" in crontab and "\n* *" not in crontab
    assert counts("-e", "accelmon_adopt_state=absent")[1:] == ((0, 2), (2, 0))
    assert fleet.shell("script1", "cat /etc/cron.d/gpu; stat -c %a /etc/cron.d/gpu").endswith("\n* * * * * root /usr/local/bin/get_gpu_metrics.sh\n640\n")

    refused = fleet.play("site.yml", "--limit", "script1")
    assert refused.code != 0 and "replace it with adopt_textfile_gpu.yml" in refused.output, "else both would be exported"

    check = fleet.play("playbooks/adopt_textfile_gpu.yml", "--check", "--diff")
    assert check.code == 0 and "-* * * * * root /usr/local/bin/get_gpu_metrics.sh" in check.output and "MAILTO" not in check.output
    assert fleet.shell("script1", COUNT) == "2 0\n"

    assert counts()[1:] == ((2, 0), (0, 2))
    assert fleet.shell("script1", "cat /etc/cron.d/gpu") == crontab
    assert fleet.play("playbooks/adopt_textfile_gpu.yml").changed() == 0


def test_a_collector_that_does_not_deliver_leaves_the_script_in_use(fleet):
    assert fleet.play("playbooks/adopt_textfile_gpu.yml", "-e", "accelmon_adopt_state=absent").code == 0
    run = fleet.play("playbooks/adopt_textfile_gpu.yml", "-e", "textfile_collector_nvidia_smi=/nowhere/nvidia-smi")
    assert run.code != 0 and "the script is in use again, because: script = get_gpu_metrics.sh: it exported the device 0, 1" in run.output, run.output
    eventually(lambda: fleet.shell("script1", COUNT) == "2 0\n")
    assert fleet.play("playbooks/adopt_textfile_gpu.yml").code == 0


def test_what_is_given_up_goes_and_the_rest_stays(fleet):
    theirs = their_unit(fleet, "inside1")
    fleet.site("--limit", "inside1", "-e", "node_exporter_state=absent", "-e", "textfile_collector_state=absent")
    assert fleet.shell("inside1", "ls -A /srv/metrics/text") == ""
    assert their_unit(fleet, "inside1") == theirs
    fleet.site("--limit", "inside1")


def test_theirs_is_refused_replaced_and_put_back(fleet, tmp_path):
    """The steps that docs/brownfield.md has for the services of prometheus.prometheus."""
    def inventory(name, **variables):
        return fleet.inventory_of(tmp_path / f"{name}.json", variables={"inside1": dict(accelmon_textfile_directory="/var/lib/accelmon/textfile", **variables)})

    state = "systemctl cat node_exporter; systemctl is-enabled node_exporter; stat -c '%U:%G %a' /srv/metrics/text; ls -A /srv/metrics/text"
    theirs = fleet.shell("inside1", state)
    install = inventory("install", node_exporter_managed="install")
    for playbook in ("playbooks/preflight.yml", "site.yml"):
        refused = fleet.play(playbook, "--limit", "inside1", inventory=install)
        assert refused.code != 0 and "node_exporter.service (pid" in refused.output, refused.output
        assert ("set node_exporter_managed to adopt or external to keep and scrape it, stop and disable node_exporter.service to replace it, "
                "or choose another node_exporter_port") in refused.output
    fleet.shell("inside1", "systemctl disable --now node_exporter")
    fleet.site("--limit", "inside1", inventory=install)
    assert fleet.shell("inside1", "systemctl is-active accelmon-node-exporter").strip() == "active"
    assert fleet.shell("inside1", "ls -A /srv/metrics/text") == "", "nothing of ours stays where it reads"
    eventually(lambda: fleet.values('count by (node) (node_gpu_temperature_celsius{job="node_exporter"})').get("inside1") == 1, "from ours")

    fleet.site("--limit", "inside1", inventory=inventory("gone", node_exporter_managed="install", node_exporter_state="absent"))
    fleet.shell("inside1", "systemctl enable --now node_exporter")
    fleet.site("--limit", "inside1")
    assert fleet.shell("inside1", state) == theirs
    eventually(lambda: fleet.values('count by (node) (node_gpu_temperature_celsius{job="node_exporter"})').get("inside1") == 1, "from theirs")
