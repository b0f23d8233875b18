"""Lock files from upstream's lists of checksums. The lists are made here; nothing is fetched."""

import json

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock

A, B, C = "a" * 64, "b" * 64, "c" * 64
LISTS = {
    "http://u/sha256sums.txt": ("%s  tool-1.0.linux-amd64.tar.gz\n%s  tool-1.0.linux-arm64.tar.gz\n" % (A, B)).encode(),
    "http://u/vm-amd64_checksums.txt": ("%s  vm-amd64.tar.gz\n%s *vm-prod\n\n" % (C, A)).encode(),
}
TOOL = {"name": "tool", "version": "1.0", "url": "x/tool-{version}.linux-{architecture}.tar.gz", "sums": {
    "amd64": ["http://u/sha256sums.txt", "tool-1.0.linux-amd64.tar.gz"], "arm64": ["http://u/sha256sums.txt", "tool-1.0.linux-arm64.tar.gz"]}}
VM = {"name": "vm", "version": "2.0", "url": "x/vm", "sums": {"amd64": ["http://u/vm-amd64_checksums.txt", "vm-amd64.tar.gz"]}}


def test_both_projects_lists_are_read_once_each():
    asked = []

    def get(url):
        asked.append(url)
        return LISTS[url]

    releases = lock.build([TOOL, VM], {}, get)
    assert releases == {"tool": {"version": "1.0", "url": TOOL["url"], "sha256": {"amd64": A, "arm64": B}},
                        "vm": {"version": "2.0", "url": "x/vm", "sha256": {"amd64": C}}}
    assert sorted(asked) == sorted(LISTS)


def test_what_was_not_asked_for_stays():
    before = {"other": {"version": "9"}, "vm": {"version": "2.0", "url": "x/vm", "sha256": {"arm64": B}}}
    releases = lock.build([VM], before, LISTS.get)
    assert releases["other"] == {"version": "9"} and releases["vm"]["sha256"] == {"amd64": C, "arm64": B}


def test_another_version_takes_no_checksum_along():
    before = {"vm": {"version": "1.9", "url": "x/vm", "sha256": {"amd64": B, "arm64": B}}}
    assert lock.build([VM], before, LISTS.get)["vm"]["sha256"] == {"amd64": C}


def test_a_locked_checksum_never_changes():
    with pytest.raises(Failure, match="never changes"):
        lock.build([VM], {"vm": {"version": "2.0", "sha256": {"amd64": B}}}, LISTS.get)


def test_what_upstream_does_not_list_is_named():
    with pytest.raises(Failure, match="architecture = arm64.*does not list vm-arm64"):
        lock.build([dict(VM, sums={"arm64": ["http://u/vm-amd64_checksums.txt", "vm-arm64.tar.gz"]})], {}, LISTS.get)


@pytest.mark.parametrize("data", [A, A + "\n", A + "  tool.tar.gz\n"])
def test_a_list_of_one_archive_may_be_its_checksum_alone(data):
    assert lock.parse_checksums(data.encode(), "http://u/tool.tar.gz.sha256") == {"tool.tar.gz": A}


@pytest.mark.parametrize("data,words", [
    (A.encode(), "line 1 is not a checksum and a file name"),
    (b"<html>sign in</html>", "line 1 is not a checksum"),
    (A.encode() + b"  tool\n" + B.encode() + b"  tool\n", "two checksums"),
    (A[:63].encode() + b"  tool", "line 1"),
    (A.upper().encode() + b"  tool", "line 1"),
    (A.encode() + b"  tool extra", "line 1"),
    (A.encode() + b"\ttool", "line 1"),
    (b"\xff\xfe", "not plain text"),
    ("{}  töol".format(A).encode(), "not plain text"),
    (b"\x1b[2J" + A.encode(), "line 1 is not a checksum and a file name but '"),
])
def test_a_hostile_list_is_refused_as_a_whole(data, words):
    with pytest.raises(Failure, match=words) as caught:
        lock.parse_checksums(data, "http://u/list")
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [
    "[]", "{", '{"version": 2, "releases": {}}', '{"version": 1}', '{"version": 1, "releases": {"vm": {"version": "1"}}}',
    '{"version": 1, "releases": {"vm": {"version": "1", "sha256": {"amd64": "abc"}}}}'])
def test_a_broken_lock_file_is_not_overwritten(tmp_path, text):
    path = tmp_path / "lock.json"
    path.write_text(text)
    with pytest.raises(Failure, match="move it away"):
        lock.before(lock.releases, str(path), "path")


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "lock.json"
    releases = lock.build([TOOL, VM], {}, LISTS.get)
    path.write_text(lock.text_of("releases", releases))
    assert lock.before(lock.releases, str(path), "path") == releases == json.loads(path.read_text())["releases"]
    assert lock.before(lock.releases, str(tmp_path / "none"), "path") is None
