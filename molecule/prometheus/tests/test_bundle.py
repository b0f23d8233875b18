"""Installation without a network, from a signed directory of archives.

Simulated: the accelerators. The archive is packed here, in upstream's layout, from the program of the distribution's package.
"""

import hashlib
import json
import subprocess

import pytest

pytestmark = pytest.mark.costly


@pytest.fixture(scope="module")
def bundle(fleet, tmp_path_factory):
    """(a signed bundle with one node_exporter, the file of the public key)"""
    folder = tmp_path_factory.mktemp("bundle")
    key = tmp_path_factory.mktemp("keys") / "key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", str(key)], check=True)
    subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", f"{key}.pub"], check=True)
    content = folder / "node_exporter-1.5.0.linux-amd64"
    content.mkdir()
    subprocess.run(["podman", "cp", fleet.container("plain1") + ":/usr/bin/prometheus-node-exporter", str(content / "node_exporter")], check=True)
    archive = folder / (content.name + ".tar.gz")
    subprocess.run(["tar", "-czf", str(archive), "-C", str(folder), content.name], check=True)
    lock = {"version": 1, "artifacts": [{"name": "node_exporter", "version": "1.5.0", "os": "linux", "architecture": "amd64", "file": archive.name,
                                         "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}]}
    (folder / "lock.json").write_text(json.dumps(lock))
    subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(key), "-in", str(folder / "lock.json"), "-out", str(folder / "lock.json.sig")],
                   check=True)
    return folder, f"{key}.pub"


def program(fleet):
    pid = fleet.shell("plain1", "systemctl show --value --property MainPID accelmon-node-exporter").strip()
    return fleet.shell("plain1", f"readlink /proc/{pid}/exe").strip()


def arguments(bundle):
    folder, public_key = bundle
    return ("--limit", "plain1", "-e", "accelmon_source=bundle", "-e", f"accelmon_bundle={folder}", "-e", f"accelmon_bundle_public_key={public_key}")


def test_a_tampered_list_ends_the_run_in_its_first_play(fleet, bundle):
    path = bundle[0] / "lock.json"
    good = path.read_text()
    path.write_text(good.replace("1.5.0", "1.6.0"))
    try:
        run = fleet.play("site.yml", *arguments(bundle))
        assert run.code != 0 and "was changed after it was signed" in run.output and run.output.count("PLAY [") == 1, run.output
    finally:
        path.write_text(good)


def test_a_tampered_archive_is_refused_and_the_old_program_runs_on(fleet, bundle):
    archive = next(bundle[0].glob("*.tar.gz"))
    good = archive.read_bytes()
    archive.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        run = fleet.play("site.yml", *arguments(bundle))
        assert run.code != 0 and "sha256" in run.output, run.output
        assert program(fleet) == "/usr/bin/prometheus-node-exporter"
        assert "node_uname_info" in fleet.shell("plain1", "curl -sf http://127.0.0.1:9100/metrics")
    finally:
        archive.write_bytes(good)


def test_a_bundle_installs_without_a_network_and_gives_way_to_the_package_again(fleet, bundle):
    fleet.lab("offline", "plain1")
    try:
        fleet.site(*arguments(bundle))
        assert program(fleet).startswith("/opt/accelmon/node_exporter/1.5.0-")
        assert fleet.site(*arguments(bundle)).changed() == 0
    finally:
        fleet.lab("online", "plain1")
    fleet.site("--limit", "plain1")
    assert program(fleet) == "/usr/bin/prometheus-node-exporter"


def test_absent_leaves_nothing_but_data_and_present_comes_back(fleet):
    run = fleet.play("site.yml", "--limit", "nvidia1", "-e", "textfile_collector_state=absent")
    assert run.code == 0, run.output
    assert "accelmon-textfile-collector" not in fleet.shell("nvidia1", "ls /etc/systemd/system /etc/systemd/system/timers.target.wants")
    assert not fleet.shell("nvidia1", "ls /opt/accelmon 2>/dev/null", check=False).strip()
    fleet.site("--limit", "nvidia1")
    fleet.well()
