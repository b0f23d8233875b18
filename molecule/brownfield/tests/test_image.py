"""A machine image, in a container whose first process is an ssh daemon: no systemd runs in it. Nothing else is simulated."""

import json
import pathlib
import sys

import pytest
from conftest import CHECKOUT, eventually

sys.path.insert(0, str(CHECKOUT / "lab"))

import engine  # noqa: E402  pylint: disable=wrong-import-position,import-error

KEY = pathlib.Path(engine.cache()) / "lab-ssh-key"
RUN = ("--systemd=always", "--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", "--security-opt", "unmask=ALL")


class Image:
    """A container, and the inventory that reaches it."""

    def __init__(self, fleet, name):
        self.name = f"{fleet.container('image')}-{name}"
        self.label = ("--label", f"accelmon.lab={fleet.name}")  # so that the lab takes it down, whatever happens here

    def start(self, image, *arguments):
        engine.podman("run", "--detach", "--name", self.name, *self.label, "--publish", "127.0.0.1::22", *arguments[:-1], image, *arguments[-1])

    def shell(self, command):
        return engine.podman("exec", self.name, "sh", "-c", command).stdout

    def remove(self):
        engine.podman("rm", "--force", "--time", "0", self.name, check=False)

    def inventory(self, path):
        engine.podman("exec", "--interactive", self.name, "sh", "-ec", "umask 077; mkdir -p ~ansible/.ssh; cat > ~ansible/.ssh/authorized_keys; "
                      "chown -R ansible: ~ansible/.ssh", stdin=KEY.with_suffix(".pub").read_text())
        port = engine.podman("port", self.name, "22").stdout.strip().rpartition(":")[2]
        host = {"ansible_host": "127.0.0.1", "ansible_port": int(port), "ansible_user": "ansible", "ansible_ssh_private_key_file": str(KEY),
                "ansible_python_interpreter": "/usr/bin/python3", "accelmon_exporters": ["node_exporter", "textfile_collector"],
                "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"}
        path.write_text(json.dumps({"accelerator_nodes": {"hosts": {"image": host}}}))
        return path


@pytest.fixture
def images(fleet):
    made = [Image(fleet, "built"), Image(fleet, "booted")]
    yield made
    for image in made:
        image.remove()
    engine.podman("rmi", "--force", f"localhost/{made[0].name}", check=False)


def test_an_image_is_built_without_systemd_and_runs_when_it_boots(fleet, images, tmp_path):
    built, booted = images
    source = engine.inspect([fleet.container("script1")])[fleet.container("script1")]["ImageName"]
    built.start(source, ["sh", "-c", "mkdir -p /run/sshd; exec /usr/sbin/sshd -D"])
    inventory = built.inventory(tmp_path / "image.json")
    eventually(lambda: ":22 " in built.shell("ss -Hltn"), "its sshd listens")
    for arguments, changed in ((("--check",), True), ((), True), ((), False)):
        run = fleet.play("playbooks/image.yml", *arguments, inventory=inventory)
        assert run.code == 0 and (run.changed() > 0) is changed, run.output
    assert built.shell("cat /proc/1/comm; pgrep -c node-exporter || true") == "sshd\n0\n"
    units = "accelmon-node-exporter.service accelmon-textfile-collector.timer prometheus-node-exporter.service"
    enabled = built.shell(f"systemctl --root=/ is-enabled {units} || true")
    assert enabled == "enabled\nenabled\nmasked\n"
    assert "--web.listen-address=:9100 " in built.shell("cat /etc/systemd/system/accelmon-node-exporter.service"), "not the builder's address"

    engine.podman("commit", "--quiet", built.name, f"localhost/{built.name}")
    built.remove()
    booted.start(f"localhost/{built.name}", *RUN, ["/sbin/init"])
    eventually(lambda: engine.podman("exec", booted.name, "curl", "-sf", "127.0.0.1:9100/metrics", check=False).stdout.count("node_cpu_seconds_total"))
    assert booted.shell("systemctl is-active accelmon-textfile-collector.timer") == "active\n"
