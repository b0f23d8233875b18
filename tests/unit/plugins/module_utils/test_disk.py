"""What is told of full and read-only disks.

Real: small file systems in memory, made in a mount namespace of the test's own; without the right to make them, those tests are
skipped. Stubbed: errors that cannot be brought about here, such as those of quotas.
"""

import errno
import json
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import disk

ROOT = pathlib.Path(__file__).resolve().parents[4]
COMPLETES = "run again to complete this run"


def in_namespace(tmp_path, mounts, program):
    """What a Python program prints as JSON, with file systems of its own below `place`. mounts: {folder: options of tmpfs}"""
    commands = "mount --make-rprivate / && " + "".join(
        f"mkdir -p '{tmp_path}/{folder}' && mount -t tmpfs -o {options} none '{tmp_path}/{folder}' && " for folder, options in mounts.items())
    source = tmp_path / "program.py"
    source.write_text("import json, os, sys\nplace = sys.argv[1]\n" + textwrap.dedent(program), encoding="utf-8")
    done = subprocess.run(["unshare", "-m", "sh", "-c", commands + f"exec '{sys.executable}' '{source}' '{tmp_path}'"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=str(ROOT / ".collections")), check=False)
    if b"unshare" in done.stderr or b"mount" in done.stderr:
        pytest.skip("no mount namespaces here: " + done.stderr.decode().strip())
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


RELEASE = """
    from ansible_collections.accelmon.fleet.plugins.module_utils import disk
    from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
    from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import Release
    import hashlib
    def install(version, size):
        data = b"#!/bin/sh\\nexit 0\\n" + b"#" * size
        with open(place + "/source", "wb") as stream:
            stream.write(data)
        found = Release("tool", place + "/opt", version, hashlib.sha256(data).hexdigest(), {"tool": "tool"})
        try:
            found.present({"src": place + "/source"})
            return "installed"
        except (Failure, OSError) as error:
            return str(error) if isinstance(error, Failure) else disk.explain(error)
"""


def test_a_release_that_does_not_fit_is_told_and_the_one_before_stays(tmp_path):
    told = in_namespace(tmp_path, {"opt": "size=400k"}, RELEASE + """
    said = [install("1", 1000), install("2", 900000)]
    left = sorted(os.listdir(place + "/opt/tool"))
    print(json.dumps([said, os.readlink(place + "/opt/tool/current"), left, install("3", 2000)]))
    """)
    (first, second), current, left, third = told
    assert first == third == "installed" and current.startswith("1-") and len(left) == 3, "nothing of the second is left"
    assert second.startswith(f"path = {tmp_path}/opt/tool/.incoming/archive: the file system at {tmp_path}/opt is full (")
    assert second.endswith("; free some space there, then " + COMPLETES)


def test_one_that_fits_only_before_it_is_unpacked(tmp_path):
    (said,) = in_namespace(tmp_path, {"opt": "size=1200k"}, RELEASE + """
    print(json.dumps([install("1", 900000)]))
    """)
    assert said.startswith(f"path = {tmp_path}/opt/tool/.incoming/tree/bin/tool: the file system at {tmp_path}/opt is full (")


def test_no_inodes_are_another_matter_than_no_room(tmp_path):
    (said,) = in_namespace(tmp_path, {"opt": "size=4m,nr_inodes=3"}, RELEASE + """
    print(json.dumps([install("1", 10)]))
    """)
    assert "has no inodes left; free some space there" in said


def test_a_read_only_file_system_is_told_as_that(tmp_path):
    release, files, refused = in_namespace(tmp_path, {"opt": "ro", "etc": "ro"}, RELEASE + """
    from ansible_collections.accelmon.fleet.plugins.module_utils.host.config_set import ConfigSet
    from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
    try:
        ConfigSet("x", [{"path": place + "/etc/x.conf", "content": "1"}], state_dir=place + "/state").run()
        files = "written"
    except Failure as error:
        files = str(error)
    try:
        disk.refuse_unwritable(place + "/etc/systemd/system")
        refused = ""
    except OSError as error:
        refused = disk.explain(error)
    print(json.dumps([install("1", 10), files, refused]))
    """)
    words = "is read-only; remount it read-write. If the kernel made it read-only, check dmesg for errors, then " + COMPLETES
    assert release == f"path = {tmp_path}/opt/tool: the file system at {tmp_path}/opt {words}"
    assert refused == f"path = {tmp_path}/etc: the file system at {tmp_path}/etc {words}"
    assert files.startswith("name = x: the files could not be replaced: path = ") and files.endswith(f"{words}; the files are as they were before")


def test_a_full_disk_leaves_the_files_as_they_are(tmp_path):
    said, text = in_namespace(tmp_path, {"etc": "size=16k", "state": "size=1m"}, """
    from ansible_collections.accelmon.fleet.plugins.module_utils.host.config_set import ConfigSet
    from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
    ConfigSet("x", [{"path": place + "/etc/x.conf", "content": "1"}], state_dir=place + "/state").run()
    try:
        ConfigSet("x", [{"path": place + "/etc/x.conf", "content": "2" * 100000}], state_dir=place + "/state").run()
        said = ""
    except Failure as error:
        said = str(error)
    print(json.dumps([said, open(place + "/etc/x.conf").read()]))
    """)
    assert f"the file system at {tmp_path}/etc is full (" in said and said.endswith("the files are as they were before") and text == "1"


@pytest.mark.parametrize("code,words", [
    (errno.EDQUOT, "is used up; free some space there or raise the quota, then run again"), (errno.EIO, "reports an I/O error; check dmesg"),
    (errno.ENOTDIR, "a different kind of file is in the way"), (errno.ENAMETOOLONG, "File name too long; fix this, then run again"),
    (errno.EACCES, "permission denied "), (errno.EPERM, "permission denied "),
])
def test_each_cause_has_its_fix(code, words):
    told = disk.explain(OSError(code, os.strerror(code), "/etc/x"))
    assert told.startswith("path = /etc/x: ") and words in told and len(told.splitlines()) == 1


def test_who_is_not_root_is_told_to_become_it(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    told = disk.explain(OSError(errno.EACCES, "Permission denied", "/etc/x"))
    assert "permission denied for user 1000; on a node use become, on the control node grant that user access" in told
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "permission denied even for root; check for an immutable file (lsattr)" in disk.explain(OSError(errno.EPERM, "Operation not permitted", "/etc/x"))


def test_what_has_no_path_is_told_all_the_same(tmp_path):
    assert disk.explain(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device; fix this, then " + COMPLETES
    assert disk.explain(OSError("odd")).startswith("odd; fix this")
    with pytest.raises(OSError) as raised:
        with disk.naming("/a/b"):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert disk.explain(raised.value).startswith("path = /a/b: the file system at / is full (")
    assert disk.mount_of(str(tmp_path / "not" / "there")) == disk.mount_of(str(tmp_path))


def test_every_module_that_writes_tells_it_so():
    """One place knows what to do about a disk; no module puts an OSError into its own words."""
    for path in (ROOT / "plugins" / "modules").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for writer in ("atomic.write(", "make_folders(", "config_set import", "release import Release,", "HostCertificate(",
                       "secrets_store import", "Store(module)"):
            if writer in text and "fail_json" in text:
                assert "disk.explain(" in text or "failing(" in text, (path.name, writer)
