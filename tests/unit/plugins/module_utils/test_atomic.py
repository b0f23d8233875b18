"""Whole files at every moment. Stubbed: os.rename once, to behave as it does between file systems."""

import errno
import os
import stat

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Busy


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.fixture
def mask():
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_write_gives_the_mode_whatever_the_umask_and_the_file_before(tmp_path, mask):
    path = str(tmp_path / "a")
    atomic.write(path, b"one", 0o644)
    assert mode(path) == 0o644
    os.chmod(path, 0o777)
    atomic.write(path, b"two", 0o600)
    assert (mode(path), open(path).read(), os.listdir(str(tmp_path))) == (0o600, "two", ["a"])


def test_write_replaces_a_link_and_not_its_target(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("theirs")
    link.symlink_to(target)
    atomic.write(str(link), b"ours")
    assert not link.is_symlink() and target.read_text() == "theirs"


def test_write_does_not_follow_a_link_laid_where_it_prepares(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (tmp_path / ".a.accelmon-new").symlink_to(victim)
    atomic.write(str(tmp_path / "a"), b"ours")
    assert victim.read_text() == "theirs" and (tmp_path / "a").read_text() == "ours"


def test_a_label_is_given_before_the_file_is_in_place(tmp_path):
    path, seen = str(tmp_path / "a"), []
    atomic.write(path, b"x", relabel=lambda now, final: seen.append((os.path.exists(final), final)))
    assert seen == [(False, path)]


def test_replace_works_between_file_systems(tmp_path, monkeypatch):
    source, path = tmp_path / "source", tmp_path / "path"
    source.write_text("new")
    source.chmod(0o640)
    path.write_text("old")
    rename = os.rename

    def other_file_system(one, other):
        if one == str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(one, other)

    monkeypatch.setattr(os, "rename", other_file_system)
    atomic.replace(str(source), str(path))
    assert path.read_text() == "new" and mode(str(path)) == 0o640
    assert os.listdir(str(tmp_path)) == ["path"]


def test_copy_keeps_a_link_a_link(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    atomic.copy(str(tmp_path / "link"), str(tmp_path / "copy"))
    assert os.readlink(str(tmp_path / "copy")) == "nowhere"


def test_point_swaps_a_link(tmp_path):
    path = str(tmp_path / "current")
    atomic.point(path, "one")
    atomic.point(path, "two")
    assert os.readlink(path) == "two" and os.listdir(str(tmp_path)) == ["current"]


def test_make_folders_tells_what_it_made_and_ignores_the_umask(tmp_path, mask):
    (tmp_path / "a").mkdir()
    made = atomic.make_folders(str(tmp_path / "a" / "b" / "c"), 0o755)
    assert made == [str(tmp_path / "a" / "b"), str(tmp_path / "a" / "b" / "c")]
    assert mode(made[0]) == mode(made[1]) == 0o755


def test_make_folders_takes_a_path_that_is_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert atomic.make_folders("a/b") == ["a", "a/b"] and (tmp_path / "a/b").is_dir()


def test_a_lock_is_held_against_another_holder_and_free_afterwards(tmp_path):
    path = str(tmp_path / "lock")
    with atomic.Lock(path, 0):
        with pytest.raises(Busy, match="another run has held"):
            with atomic.Lock(path, 0):
                pass
    with atomic.Lock(path, 0):
        pass


def test_ids():
    assert atomic.user_id("root") == atomic.group_id("root") == 0
    assert atomic.user_id("1234") == atomic.group_id(1234) == 1234
    for find in (atomic.user_id, atomic.group_id):
        with pytest.raises(KeyError):
            find("accelmon-nobody-of-this-name")
