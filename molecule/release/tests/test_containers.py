"""Programs in containers: images made FROM scratch around what the lab built, run by podman in the lab's hosts, and the way back to the releases.

Simulated: registries. The images come in a bundle. The lab's hosts are containers: their podman keeps images without overlayfs, and makes no control
groups, so node_exporter, which sees the host's processes, stays a release here. The module leaves the fleet as it found it, but for podman.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import tarfile

import pytest

from conftest import eventually

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "accelmon", "releases")
VM = CACHE / "VictoriaMetrics/VictoriaMetrics/releases/download/v1.151.0"
# What upstream's images have in them: the archive it is from here, its path there, and which program is the entry point.
IMAGES = {
    "victoriametrics": (VM / "victoria-metrics-linux-amd64-v1.151.0.tar.gz", "/", ["victoria-metrics-prod"]),
    "victoriametrics_auth": (VM / "vmutils-linux-amd64-v1.151.0.tar.gz", "/", ["vmauth-prod"]),
    "vmagent": (VM / "vmutils-linux-amd64-v1.151.0.tar.gz", "/", ["vmagent-prod"]),
    "vmalert": (VM / "vmutils-linux-amd64-v1.151.0.tar.gz", "/", ["vmalert-prod"]),
    "alertmanager": (CACHE / "prometheus/alertmanager/releases/download/v0.28.1/alertmanager-0.28.1.linux-amd64.tar.gz", "/bin/",
                     ["alertmanager", "amtool"]),
}
RUNNING = ["victoriametrics", "victoriametrics-agent", "vmagent", "vmalert", "alertmanager"]


def made(name, folder):
    """Make an image and its archive: (its digest, the artifact of a bundle)."""
    archive, place, programs = IMAGES[name]
    context = folder / f"{name}.context"
    context.mkdir()
    with tarfile.open(archive) as bag:
        for member in bag.getmembers():
            if os.path.basename(member.name) in programs:
                member.name = os.path.basename(member.name)
                bag.extract(member, context)
    lines = ["FROM scratch"] + [f"COPY {program} {place}{program}" for program in programs] + [f'ENTRYPOINT ["{place}{programs[0]}"]']
    (context / "Containerfile").write_text("\n".join(lines) + "\n")
    tag, file = f"localhost/accelmon-test/{name}:{os.environ['ACCELMON_LAB_NAME']}", f"{name}.tar"
    environment = {"CONTAINERS_CONF": str(pathlib.Path(__file__).parents[3] / "lab/containers.conf"), **os.environ}

    def podman(*arguments):
        return subprocess.run(["podman", *arguments], check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout.strip()

    podman("build", "--quiet", "--tag", tag, str(context))
    try:
        podman("save", "--quiet", "--output", str(folder / file), tag)
        digest = podman("image", "inspect", "--format", "{{.Digest}}", tag)
    finally:
        podman("rmi", "--force", tag)
    sha256 = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    return digest, {"name": f"{name}_image", "version": "1", "os": "linux", "architecture": "amd64", "file": file, "sha256": sha256}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Variables by which everything runs in containers."""
    bundle = tmp_path_factory.mktemp("bundle")
    found = {name: made(name, bundle) for name in IMAGES}
    (bundle / "lock.json").write_text(json.dumps({"version": 1, "artifacts": [artifact for dummy, artifact in found.values()]}))
    # A host that is a container may neither raise its limits nor make control groups.
    options = ["--ulimit=nofile=1024:4096", "--ulimit=nproc=9000:9000", "--cgroups=disabled"]
    limits = {f"{role}_container_options": options for role in IMAGES if "auth" not in role}
    return {"accelmon_source": "container", "alertmanager_source": "container", "node_exporter_source": "release", "accelmon_bundle": str(bundle), **limits,
            **{f"{name}_image": f"registry.example/{name}@{digest}" for name, (digest, dummy) in found.items()}}


@pytest.fixture(scope="module")
def contained(fleet, images):
    """The fleet in containers; afterwards it has its releases again."""
    for host in fleet.monitors:
        fleet.shell(host, "apt-get -qq update && apt-get -qq install --yes --no-install-recommends podman crun >/dev/null && "
                          "printf '[storage]\\ndriver = \"vfs\"\\nrunroot = \"/run/containers/storage\"\\ngraphroot = \"/var/lib/containers/storage\"\\n' "
                          "> /etc/containers/storage.conf && podman info >/dev/null")
    run = fleet.play("site.yml", "-e", json.dumps(images))
    try:
        assert run.code == 0, run.output
        yield fleet
    finally:
        back = fleet.site()
    assert back.code == 0, back.output
    assert fleet.shell("rmon", "podman ps --all --format '{{.Names}}' 2>/dev/null") == ""
    assert fleet.shell("rmon", "pgrep -f '[/](victoria-metrics|vmauth|vmagent|vmalert)-prod'; true") == ""
    assert "/opt/accelmon/victoriametrics/" in fleet.shell("rmon", "readlink /proc/$(systemctl show -P MainPID accelmon-victoriametrics)/exe")


def process(fleet, name):
    """The process of the program in a container, on the monitoring host."""
    unit = "accelmon-" + name
    assert fleet.shell("rmon", f"systemctl is-active {unit}").strip() == "active"
    return fleet.shell("rmon", f"podman inspect --format '{{{{.State.Pid}}}}' {unit} 2>/dev/null").strip()


@pytest.mark.parametrize("name", RUNNING)
def test_the_program_of_the_image_runs_as_the_service_s_user_with_nothing_of_root(contained, name):
    number = process(contained, name)
    status = dict(line.split(":", 1) for line in contained.shell("rmon", f"cat /proc/{number}/status").splitlines())
    user = "accelmon-" + name.replace("_", "-").replace("-agent", "")
    assert status["Uid"].split() == [contained.shell("rmon", f"id -u {user}").strip()] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
    image = name.replace("-agent", "_auth")
    assert os.path.basename(contained.shell("rmon", f"readlink /proc/{number}/exe").strip()) == IMAGES[image][2][0]
    assert " ro," in contained.shell("rmon", f"grep ' / / ' /proc/{number}/mountinfo || grep ' / ' /proc/{number}/mountinfo | head -1")


def test_it_is_converged(contained, images):
    run = contained.play("site.yml", "-e", json.dumps(images))
    assert run.code == 0 and run.changed() == 0, run.output


def test_the_storage_has_what_it_had_and_what_comes(contained):
    assert contained.query('count_over_time(up{job="node_exporter",node="rnode"}[1h])'), "what was there before"
    eventually(lambda: contained.values('up{job=~"victoriametrics|vmagent|vmalert|alertmanager"}', "job") == dict.fromkeys(
        ("victoriametrics", "vmagent", "vmalert", "alertmanager"), 1), "the stack is scraped")
    contained.well("-e", json.dumps({"accelmon_source": "container"}))


def test_nobody_reaches_the_storage_without_the_password(contained):
    own, host = (contained.shell("rmon", f"readlink /proc/{number}/ns/net") for number in (process(contained, "victoriametrics"), 1))
    assert own != host and own == contained.shell("rmon", f"readlink /proc/{process(contained, 'victoriametrics-agent')}/ns/net")
    assert contained.shell("rmon", "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8428/api/v1/query?query=up").strip() == "401"


def test_files_are_checked_by_the_image(contained, images, tmp_path):
    """A rule that only vmalert can refuse, and a configuration that only amtool can."""
    rules = tmp_path / "site.yml"
    rules.write_text("groups: [{name: site, rules: [{alert: A, expr: 'no_such_function(up)'}]}]\n")
    run = contained.play("site.yml", "-e", json.dumps(dict(images, accelmon_rule_files=[str(rules)])))
    assert run.code != 0 and "no_such_function" in run.output and "nothing was changed" in run.output, run.output
    told = contained.shell("rmon", "cd /tmp && /opt/accelmon/alertmanager_parts/amtool check-config /etc/accelmon/alertmanager/alertmanager.yml")
    assert "SUCCESS" in told


def test_a_reload_reaches_the_program(contained, images):
    before = process(contained, "alertmanager")
    run = contained.play("site.yml", "--limit", "rmon", "-e", json.dumps(dict(images, alertmanager_group_wait="11s")))
    assert run.code == 0, run.output
    assert process(contained, "alertmanager") == before
    status = contained.fetch("http://127.0.0.1:9093/api/v2/status")
    assert "group_wait: 11s" in status["config"]["original"]


def test_an_image_that_does_not_work_is_taken_back(contained, images):
    """In the place of vmagent's image is Alertmanager's, which does not understand its arguments, and is no checker of its files either."""
    before = process(contained, "vmagent")
    lock = pathlib.Path(images["accelmon_bundle"], "lock.json")
    text = lock.read_text()
    artifacts = {one["name"]: one for one in json.loads(text)["artifacts"]}
    artifacts["vmagent_image"].update(file="alertmanager.tar", sha256=artifacts["alertmanager_image"]["sha256"])
    lock.write_text(json.dumps({"version": 1, "artifacts": list(artifacts.values())}))
    try:
        run = contained.play("site.yml", "--limit", "rmon", "-e", json.dumps(dict(images, vmagent_image=images["alertmanager_image"])))
    finally:
        lock.write_text(text)
    assert run.code != 0 and "nothing was changed" in run.output, run.output
    assert process(contained, "vmagent") == before


def test_the_first_play_names_the_image_that_is_missing(contained, images):
    run = contained.play("site.yml", "-e", json.dumps(dict(images, victoriametrics_auth_image="")))
    assert run.code != 0 and "victoriametrics_auth_image = '': required with accelmon_source = container" in run.output, run.output
