"""Where a node_exporter reads textfiles, and whose series are in them. Stubbed: /proc by a folder where that is said."""

import os

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.host import textfiles

PAGE = """\
# HELP node_gpu_info Identity
node_gpu_temperature_celsius{gpu="0"} 33
node_gpu_temperature_celsius{gpu="0",uuid="GPU-1",vendor="nvidia",model="a \\"b\\", {c}"} 34.5 1700000000000
site_age_seconds 42

not a sample
"""


def test_samples():
    assert textfiles.samples(PAGE) == [
        ("node_gpu_temperature_celsius", {"gpu": "0"}, "33"),
        ("node_gpu_temperature_celsius", {"gpu": "0", "uuid": "GPU-1", "vendor": "nvidia", "model": 'a \\"b\\", {c}'}, "34.5"),
        ("site_age_seconds", {}, "42")]


def test_series_of_others_have_no_vendor():
    assert textfiles.foreign_devices(textfiles.samples(PAGE)) == [("node_gpu_temperature_celsius", {"gpu": "0"}, "33")]


@pytest.mark.parametrize("argv,directory", [
    (["/usr/bin/node_exporter", "--collector.textfile.directory=/a"], "/a"),
    (["node_exporter", "--collector.textfile.directory", "/a", "--b"], "/a"),
    (["node_exporter", "--collector.textfile.directory"], ""),
    (["node_exporter"], ""),
    (["/usr/bin/prometheus-node-exporter", "--no-collector.zfs"], "/var/lib/prometheus/node-exporter"),
    ([], ""),
])
def test_directory_of(argv, directory):
    assert textfiles.directory_of(argv) == directory


def test_command_line_of_a_process():
    assert textfiles.command_line(os.getpid())[0]
    assert textfiles.command_line(0) == []


def test_mounts_longest_first_with_their_blanks(tmp_path):
    text = "22 1 0:20 / / rw - overlay o rw\n23 22 8:1 /srv/my\\040data /textfile/in rw - ext4 /dev/sda1 rw\n24 22 8:1 /x /textfile rw - ext4 d rw\nshort\n"
    proc = container(tmp_path, "/", text)
    assert textfiles.mounts(7, proc) == [("8:1", "/srv/my data", "/textfile/in"), ("8:1", "/x", "/textfile"), ("0:20", "/", "/")]
    assert textfiles.mounts(8, proc) == []


def container(proc, root, mountinfo):
    """A process 7 in a folder that stands for /proc, with its own root."""
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "root").symlink_to(root)
    (proc / "7" / "mountinfo").write_text(mountinfo)
    return str(proc)


def test_a_directory_of_the_host_as_a_container_sees_it(tmp_path):
    outside, inside = tmp_path / "srv" / "text", tmp_path / "rootfs"
    outside.mkdir(parents=True)
    inside.mkdir()
    (inside / "textfile").symlink_to(outside)  # as a bind mount would, both names lead to one directory
    proc = container(tmp_path / "proc", inside, f"23 22 8:1 {tmp_path}/srv /textfile rw - ext4 d rw\n")
    assert textfiles.on_host(7, "/textfile", proc) is None, "that mount is another directory: better no answer than a wrong one"
    (tmp_path / "proc" / "7" / "mountinfo").write_text(f"23 22 8:1 {outside} /textfile rw - ext4 d rw\n")
    assert textfiles.on_host(7, "/textfile", proc) == str(outside)
    (tmp_path / "proc" / "7" / "mountinfo").write_text("22 1 0:20 / / rw - overlay o rw\n")
    assert textfiles.on_host(7, "/textfile", proc) is None, "in the container's own file system"


@pytest.mark.parametrize("host_root,in_file_system", [("/", "/text"), ("/at", "/at/text")])
def test_a_directory_on_a_file_system_of_its_own(tmp_path, host_root, in_file_system):
    """As with /run/prometheus, /var on a volume of its own, or a subvolume: the kernel tells the path in that file system."""
    outside, inside = tmp_path / "run" / "text", tmp_path / "rootfs"
    outside.mkdir(parents=True)
    inside.mkdir()
    (inside / "textfile").symlink_to(outside)
    proc = container(tmp_path / "proc", inside, f"23 22 0:25 {in_file_system} /textfile rw - tmpfs t rw\n")
    assert textfiles.on_host(7, "/textfile", proc) is None
    (tmp_path / "proc" / "self").mkdir()
    mounted = tmp_path / "proc" / "self" / "mountinfo"
    mounted.write_text(f"22 1 8:1 / / rw - ext4 d rw\n30 22 0:26 {host_root} {tmp_path}/run rw - tmpfs t rw\n")
    assert textfiles.on_host(7, "/textfile", proc) is None, "another file system"
    mounted.write_text(mounted.read_text().replace("0:26", "0:25"))
    assert textfiles.on_host(7, "/textfile", proc) == str(outside)


def test_a_process_that_sees_what_the_host_sees(tmp_path):
    assert textfiles.on_host(os.getpid(), str(tmp_path)) == str(tmp_path)
    assert textfiles.on_host(0, "/nowhere") is None
