# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of one product, installed by version and checksum.

  <root>/<name>/<version>-<first 12 digits of the sha256>/bin/<program>  each 0755 and root's
  <root>/<name>/<version>-.../.accelmon-release.json                     what was installed there
  <root>/<name>/current, previous                                        links to such directories
  <root>/<name>/.incoming                                                of the run that is installing

The directory bin is for SELinux, whose policies label /opt/**/bin as programs that systemd may start. A product that is more than its programs
is installed as the tree that its archive holds: the programs are in bin there, too.

A version directory appears by a rename when it is complete, `current` changes by the rename of a link.
The marker holds size and times of every program besides its sha256. Programs are large, so their content is read again only
if one of these differs; the inode's change time is among them, which no program can set back after it has written. Of a tree it
holds one digest of each kind.
"""
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, disk, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Busy, Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import executables as program_files
from ansible_collections.accelmon.fleet.plugins.module_utils.progress import Progress

UPSTREAM = "https://github.com"
MARKER = paths.RELEASE
INCOMING = ".incoming"
PROGRAMS = "bin"
MAX_BYTES = 1 << 30  # of an archive, and of all programs taken from one
MAX_TREE = 4 << 30  # of all files of a tree
MAX_MEMBERS = 100000
STALL_SECONDS = 30
REDIRECTS = 5


# Fetching

def fetch_error(url, problem, status=None):
    """Failure for a download that did not work."""
    return Failure("url = %s: %s; check the URL and this host's route and proxy, or install from a bundle"
                   % (url, " ".join(str(problem).split())), status)


def check_url(url):
    """Failure unless the URL is http or https, names a host and carries no credentials."""
    match = re.match(r"https?://([^/?#\s]+)[^\s]*\Z", url)
    if not match:
        raise Failure("url = %s: not an http or https URL; correct it" % url)
    if "@" in match.group(1):
        raise Failure("url = %s: it contains credentials, which are never sent; use a mirror that needs none, or a bundle"
                      % re.sub(r"//[^/]*@", "//...@", url))


def origin(url):
    """(scheme, host, port) of a URL, which is who gets to see a request."""
    from urllib.parse import urlsplit
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def authorize(request, token, token_url):
    """Let a request carry the token if it goes to the token's own origin; a redirect does not take it along."""
    if token and origin(request.full_url) == origin(token_url):
        request.add_unredirected_header("Authorization", "Bearer " + token)
    return request


def _opener(token, token_url):
    """An opener that sends nothing but the request: no cookies, no token to any but its origin, no redirect away from https."""
    from urllib.request import HTTPRedirectHandler, build_opener  # a converged run has no use for it

    class Redirects(HTTPRedirectHandler):
        max_redirections = REDIRECTS

        def redirect_request(self, req, fp, code, msg, headers, newurl):
            check_url(newurl)
            if req.full_url.startswith("https:") and not newurl.startswith("https:"):
                raise Failure("url = %s: it redirects from https to %s; use a URL that stays on https" % (req.full_url, newurl))
            following = HTTPRedirectHandler.redirect_request(self, req, fp, code, msg, headers, newurl)
            return authorize(following, token, token_url)

    opener = build_opener(Redirects)
    opener.addheaders = [("User-Agent", "accelmon.fleet")]
    return opener


def download(url, path, seconds, token="", token_url="", limit=None, resume=False, tell=None):
    """Fetch a URL into a new file within so many seconds, of no more than `limit` bytes; the token is for the host of `token_url`. Returns (sha256, size).

    resume: ask only for what the file lacks, if it is there; a server that cannot do that sends all of it
    tell: gets a line now and then that says how far it is, if the server says how much there is
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request
    check_url(url)
    limit = limit or MAX_BYTES
    deadline = time.time() + seconds
    start = os.path.getsize(path) if resume and os.path.exists(path) else 0
    request = Request(url, headers={"Range": "bytes=%d-" % start} if start else {})
    try:
        answer = _opener(token, token_url).open(authorize(request, token, token_url), timeout=min(seconds, STALL_SECONDS))
        try:
            start = start if answer.getcode() == 206 else 0
            length = _length(answer, start)
            if length is not None and length > limit:
                raise fetch_error(url, "the response has %d bytes, more than the limit of %d" % (length, limit))
            digest, size = _save(answer, path, length, deadline, url, seconds, limit, start, _counter(tell, url, length, start))
        finally:
            answer.close()
    except HTTPError as error:
        raise fetch_error(url, "the server responds %d %s" % (error.code, error.reason), error.code)
    except URLError as error:
        raise fetch_error(url, "the server is unreachable (%s)" % error.reason)
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, OSError) and error.filename == path:
            raise  # not the download's fault
        raise fetch_error(url, "the download was interrupted (%s)" % (error or type(error).__name__))
    if length is not None and size != length:
        raise fetch_error(url, "the download ended after %d of %d bytes" % (size, length))
    return digest, size


def _counter(tell, url, length, start):
    """The function that is told the size of each piece; None where nobody wants to hear how far it is, or nobody knows."""
    return Progress(tell, "downloading " + os.path.basename(url), length - start).add if tell and length else None


def _length(answer, start):
    """How many bytes a file will have after an answer that goes behind its first `start` bytes; None if the server does not say."""
    length = answer.headers.get("Content-Length")
    return start + int(length) if length and length.isdigit() else None


class _Target(object):
    """A new file. What goes wrong with it is told by its own path, and so apart from what goes wrong with a source."""

    def __init__(self, path, how="wb"):
        self.path, self.how = path, how
        self.stream = None

    def __enter__(self):
        self.stream = open(self.path, self.how, buffering=0)
        return self

    def write(self, chunk):
        """Write all of it."""
        with disk.naming(self.path):
            left = memoryview(chunk)
            while left:
                left = left[self.stream.write(left):]

    def finish(self, mode, sync=True):
        """Give it its mode and, at once or when the caller says so for all files, bring it to the disk."""
        with disk.naming(self.path):
            os.fchmod(self.stream.fileno(), mode)
            if sync:
                os.fsync(self.stream.fileno())

    def __exit__(self, kind, value, trace):
        with disk.naming(self.path):
            self.stream.close()


def _save(answer, path, length, deadline, url, seconds, limit, start=0, add=None):
    """Write an answer's body to a file, behind its first `start` bytes, piece by piece as it arrives. Returns (sha256, size) of the file.

    add: gets the size of each piece
    """
    digest, size = hashlib.sha256(), start
    if start:
        with open(path, "rb") as stream:
            for chunk in iter(lambda: stream.read(atomic.CHUNK), b""):
                digest.update(chunk)
    with _Target(path, "ab" if start else "wb") as target:
        while length is None or size < length:
            chunk = answer.read1(atomic.CHUNK)  # read() would wait for a whole chunk from a server that trickles
            if not chunk:
                break
            size += len(chunk)
            if size > limit:
                raise fetch_error(url, "the response has more than %d bytes" % limit)
            digest.update(chunk)
            target.write(chunk)
            if add:
                add(len(chunk))
            if time.time() > deadline:
                raise fetch_error(url, "the download did not finish within %d seconds (%d bytes received)" % (seconds, size))
    return digest.hexdigest(), size


def take(source, path):
    """Copy a file of this host; what is checked is the copy, which nobody else can change. Returns (sha256, size)."""
    digest, size = hashlib.sha256(), 0
    try:
        if os.path.getsize(source) > MAX_BYTES:
            raise Failure("src = %s: more than %d bytes, so not a release" % (source, MAX_BYTES))
        with open(source, "rb") as stream, _Target(path) as target:
            for chunk in iter(lambda: stream.read(atomic.CHUNK), b""):
                digest.update(chunk)
                target.write(chunk)
                size += len(chunk)
    except (IOError, OSError) as error:
        if error.filename == path:
            raise  # not the source's fault
        raise Failure("src = %s: cannot be read on this host (%s); put the file there" % (source, error.strerror))
    return digest.hexdigest(), size


# Opening

def archive_errors():
    """What the standard library raises for archives that are broken."""
    import tarfile
    import zipfile
    import zlib
    errors = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
    try:
        import lzma
    except ImportError:
        return errors
    return errors + (lzma.LZMAError,)


class _Tar(object):
    """Members of a tar archive."""

    def __init__(self, path, how):
        import tarfile
        self.archive = tarfile.open(path, how)

    def members(self):
        """(path, whether it is a regular file, size, member) each."""
        for member in self.archive:
            yield member.name, member.isreg(), member.size, member

    def open(self, member):
        """The content of a member, as a stream."""
        return self.archive.extractfile(member)

    def mode(self, member):
        """The mode of a member."""
        return member.mode

    def is_folder(self, member):
        """Whether a member is a directory."""
        return member.isdir()


class _Zip(object):
    """Members of a zip archive."""

    def __init__(self, path):
        import zipfile
        self.archive = zipfile.ZipFile(path)

    def members(self):
        """(path, whether it is a regular file, size, member) each."""
        for member in self.archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            yield member.filename, kind in (0, stat.S_IFREG) and not member.filename.endswith("/"), member.file_size, member

    def open(self, member):
        """The content of a member, as a stream."""
        return self.archive.open(member)

    def mode(self, member):
        """The mode of a member."""
        return member.external_attr >> 16

    def is_folder(self, member):
        """Whether a member is a directory."""
        return member.filename.endswith("/")


def kind_of(path):
    """What a file is by its first bytes: r:gz, r:xz, r: (a tar archive), zip or program. Failure for other archives."""
    with open(path, "rb") as stream:
        head = stream.read(512)
    for magic, kind in ((b"\x1f\x8b", "r:gz"), (b"\xfd7zXZ\0", "r:xz"), (b"PK\x03\x04", "zip")):
        if head.startswith(magic):
            return kind
    for magic, kind in ((b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"7z\xbc\xaf", "7z"), (b"!<arch>", "deb"), (b"\xed\xab\xee\xdb", "rpm")):
        if head.startswith(magic):
            raise Failure("src: %s is a %s archive; use tar.gz, tar.xz or zip, or the plain program" % (path, kind))
    return "r:" if head[257:262] == b"ustar" else "program"


def find_members(members, programs, what):
    """The members that hold the programs.

    members: as the archives above give them; programs: {installed name: path in the archive, or the name alone}
    what: how the archive is called in errors
    Returns {installed name: (path, size, member)}. A name alone stands for the only member of that name. Archives with paths that
    lead out of them are refused as a whole; links and devices only if they are asked for, for many archives hold harmless links.
    """
    entries = _entries(members, what)
    found, total = {}, 0
    for name in sorted(programs):
        path, regular, size, member = _only_entry(entries, name, programs[name], what)
        if not regular:
            raise Failure("programs = %s: %s in %s is a link, directory or device, not a regular file; name the file itself" % (name, path, what))
        total += size
        if total > MAX_BYTES:
            raise Failure("programs = %s: the programs in %s have more than %d bytes, so it is not a release archive" % (name, what, MAX_BYTES))
        found[name] = (path, size, member)
    return found


def _entries(members, what):
    """[(clean path, regular, size, member)] of an archive. Raises Failure for one that no project releases."""
    entries = []
    for path, regular, size, member in members:
        if len(entries) >= MAX_MEMBERS:
            raise Failure("sha256: %s has more than %d members, so it is not a release archive" % (what, MAX_MEMBERS))
        if path.startswith("/") or ".." in path.split("/"):
            raise Failure("sha256: %s has a member %r that leads outside the archive; do not use it" % (what, path))
        entries.append((os.path.normpath(path), regular, size, member))
    return entries


def _only_entry(entries, name, wanted, what):
    """The one entry that `wanted`, a path or a name alone, stands for. name: how the program is installed"""
    clean = os.path.normpath(wanted)
    exact = [entry for entry in entries if entry[0] == clean]
    named = [] if "/" in wanted else [entry for entry in entries if os.path.basename(entry[0]) == clean]
    # A directory may be called like the program in it. Without any file, the first choice serves for the error message.
    choices = [[entry for entry in exact if entry[1]], [entry for entry in named if entry[1]], exact, named]
    chosen = next((choice for choice in choices if choice), [])
    if not chosen:
        near = _files(entries)
        raise Failure("programs = %s: %s has no member %s; it has %s"
                      % (name, what, wanted, ", ".join(near[:8]) + (", ..." if len(near) > 8 else "") or "no files"))
    if len(chosen) > 1:
        raise Failure("programs = %s: %s has %s more than once; give the full path of one of %s"
                      % (name, what, wanted, ", ".join(entry[0] for entry in chosen)))
    return chosen[0]


def _files(entries):
    """Paths of the regular files, sorted; where a path occurs twice, its first entry decides."""
    first = {}
    for path, regular, _size, _member in entries:
        first.setdefault(path, regular)
    return sorted(path for path, regular in first.items() if regular)


@contextlib.contextmanager
def _opened(path, kind, folder, what):
    """An archive whose files are written below `folder`. Failure for what is wrong with it."""
    try:
        yield _Zip(path) if kind == "zip" else _Tar(path, kind)
    except archive_errors() as error:
        if str(getattr(error, "filename", None) or "").startswith(folder + "/"):
            raise  # not the archive's fault
        raise Failure("sha256: %s cannot be unpacked (%s) although its checksum is right; choose another version or archive" % (what, error))


def unpack(path, programs, folder, what):
    """Write the programs of an archive, or the plain program, into `folder`. Returns {installed name: sha256}."""
    kind = kind_of(path)
    if kind == "program":
        if len(programs) != 1:
            raise Failure("programs = %s: %s is a plain program, not an archive; name one program" % (", ".join(sorted(programs)), what))
        with open(path, "rb") as stream:
            return dict((name, _write_program(stream, os.path.join(folder, name), os.path.getsize(path), name, what)) for name in programs)
    with _opened(path, kind, folder, what) as archive:
        found = find_members(archive.members(), programs, what)
        written = {}
        for name, (member_path, size, member) in found.items():
            with contextlib.closing(archive.open(member)) as stream:
                written[name] = _write_program(stream, os.path.join(folder, name), size, member_path, what)
        return written


def unpack_tree(path, folder, what):
    """Write all files of an archive into `folder`, without the directory that all of them are in.

    Returns paths of links and devices, which are left out.
    """
    kind = kind_of(path)
    if kind == "program":
        raise Failure("sha256: %s is a plain program, not an archive; choose the archive" % what)
    with _opened(path, kind, folder, what) as archive:
        entries = _entries(archive.members(), what)
        files = [entry for entry in entries if entry[1]]
        if sum(entry[2] for entry in files) > MAX_TREE:
            raise Failure("sha256: the files in %s have more than %d bytes, so it is not a release archive" % (what, MAX_TREE))
        tops = set(entry[0].partition("/")[:2] for entry in files)
        top = "".join(tops.pop()) if len(tops) == 1 else ""
        written = set()
        for name, _regular, size, member in files:
            if name in written:
                raise Failure("sha256: %s has %s more than once, so it is not a release archive" % (what, name))
            written.add(name)
            target = os.path.join(folder, name[len(top):])
            atomic.make_folders(os.path.dirname(target))
            with contextlib.closing(archive.open(member)) as stream:
                _write(stream, target, size, name, what, 0o755 if archive.mode(member) & 0o100 else 0o644, sync=False)
        return [name for name, regular, _size, member in entries if not regular and not archive.is_folder(member)]


def _write(stream, path, size, member, what, mode, sync=True):
    """Write one file and give its sha256; it must have exactly the size that the archive names."""
    digest, done = hashlib.sha256(), 0
    with _Target(path) as target:
        for chunk in iter(lambda: stream.read(min(atomic.CHUNK, size + 1 - done)), b""):
            done += len(chunk)
            if done > size:
                break
            digest.update(chunk)
            target.write(chunk)
        if done != size:
            raise Failure("sha256: %s in %s has %d bytes instead of the %d stated, so it is not a release archive" % (member, what, done, size))
        target.finish(mode, sync)
    return digest.hexdigest()


def _write_program(stream, path, size, member, what):
    """Write one program and give its sha256."""
    if not size:
        raise Failure("sha256: %s in %s has 0 bytes, so it is not a program; choose another file" % (member, what))
    return _write(stream, path, size, member, what, 0o755)


# Installing

def stamp(found, path=None):
    """What tells without reading it that a file was not written since: size, time of content, time of inode. found: its lstat"""
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def content(found, path):
    """What a file is, without its times. found: its lstat"""
    if stat.S_ISREG(found.st_mode):
        return atomic.sha256_file(path)
    return os.readlink(path) if stat.S_ISLNK(found.st_mode) else None


def tree_digest(folder, told):
    """One digest of all files below a directory, their modes and owners, without our own marker. told: function (lstat, path) of a file"""
    digest = hashlib.sha256()
    for base, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(base, name)
            found = os.lstat(path)
            place = os.path.relpath(path, folder)
            if place != MARKER:
                entry = [place, found.st_mode, found.st_uid, found.st_gid, None if stat.S_ISDIR(found.st_mode) else told(found, path)]
                digest.update(json.dumps(entry).encode("ascii"))
    return digest.hexdigest()


class Release(object):
    """One product on this host.

    programs: {installed name: member of the archive}; keep: how many versions beside the current one stay
    relabel: see module_utils/atomic.py; tree: whether the archive is installed as it is, with the programs in its directory bin
    """

    def __init__(self, name, root=paths.PROGRAMS, version=None, sha256=None, programs=None, keep=1, relabel=None, tree=False):
        self.name = name
        self.version = version
        self.sha256 = (sha256 or "").lower()
        self.programs = dict(programs or {})
        self.keep = keep
        self.relabel = relabel
        self.tree = tree
        self.warnings = []
        self._check_name("name", name)
        if not root.startswith("/") or os.path.normpath(root) in ("/", "//"):
            raise Failure("root = %s: not usable as a directory for programs; give an absolute path" % root)
        self.root = os.path.normpath(root)
        self.home = os.path.join(self.root, name)
        self.current = os.path.join(self.home, "current")
        self.incoming = os.path.join(self.home, INCOMING)

    def check_request(self):
        """Failure unless version, checksum, programs and keep can be used."""
        self._check_name("version", str(self.version))
        if not re.match(r"[0-9a-f]{64}\Z", self.sha256):
            raise Failure("sha256 = %s: not a SHA-256; give the 64 hexadecimal digits for the file as downloaded" % self.sha256)
        if not self.programs:
            raise Failure("programs = {}: nothing to install; name the programs of %s" % self.name)
        for name, member in self.programs.items():
            self._check_name("programs", name)
            if member.startswith("/") or ".." in member.split("/") or not member.strip("./"):
                raise Failure("programs = %s: %s is not a path in an archive; write it as the archive lists it" % (name, member))
            if self.tree and os.path.normpath(member) != os.path.join(PROGRAMS, name):
                raise Failure("programs = %s: %s is not where a tree has its programs; use %s/%s" % (name, member, PROGRAMS, name))
        if self.keep < 1:
            raise Failure("keep = %d: the previous version is always kept; use 1 or more" % self.keep)

    @staticmethod
    def _check_name(what, text):
        if not re.match(r"[A-Za-z0-9][A-Za-z0-9_.+~-]*\Z", text):
            raise Failure("%s = %s: not usable in a path; use letters, digits and '_.+~-'" % (what, text))

    @property
    def folder(self):
        """Name of the version directory."""
        return "%s-%s" % (self.version, self.sha256[:12])

    def _link(self, name):
        """The directory name that a link of ours points to; None without a link."""
        path = os.path.join(self.home, name)
        try:
            return os.readlink(path)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise Failure("root = %s: %s is not a link; move it away" % (self.root, path))
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise

    def _marker(self, folder):
        """The marker of a version directory; None where there is none that can be read."""
        try:
            with open(os.path.join(self.home, folder, MARKER), encoding="utf-8") as stream:
                marker = json.load(stream)
            return marker if marker["version"] == 1 and isinstance(marker["programs"], dict) else None
        except (IOError, OSError, ValueError, KeyError, TypeError):
            return None

    def versions(self):
        """Names of the version directories that we made, the newest first."""
        names = os.listdir(self.home) if os.path.isdir(self.home) else []
        found = []
        for name in names:
            path = os.path.join(self.home, name, MARKER)
            if not name.startswith(".") and not os.path.islink(os.path.join(self.home, name)) and os.path.isfile(path):
                found.append((os.stat(os.path.dirname(path)).st_mtime, name))
        return [name for when, name in sorted(found, reverse=True)]

    def label(self, folder):
        """How a version directory is called for people: its version, and a few digits of its checksum."""
        if not folder:
            return ""
        marker = self._marker(folder)
        return "%s (sha256 %s...)" % (marker["release"], marker["sha256"][:12]) if marker else folder

    def release_of(self, folder):
        """The version that a directory holds; empty if there is none."""
        marker = self._marker(folder) if folder else None
        return marker["release"] if marker else ""

    def inspect(self):
        """What is missing for the wanted release.

        Returns {"complete": bool, "attributes": [paths whose mode or owner is wrong], "stale_marker": marker or None,
        "current": folder or None, "previous": folder or None, "surplus": [folders]}
        """
        current, previous = self._link("current"), self._link("previous")
        complete, attributes, stale = self._intact()
        # What `current` points to now is what it will have pointed to before.
        order = []
        for name in [current, previous] + self.versions():
            if name and name != self.folder and name not in order:
                order.append(name)
        return {"complete": complete, "attributes": attributes, "stale_marker": stale, "current": current, "previous": previous,
                "surplus": [name for name in order[self.keep:] if self._marker(name)]}

    def _intact(self):
        """(whether the wanted programs are there as they were installed, paths with wrong mode or owner, marker to renew)."""
        folder = os.path.join(self.home, self.folder)
        marker = self._marker(self.folder)
        if not marker or marker.get("sha256") != self.sha256 or os.path.islink(folder) or ("tree" in marker) != self.tree:
            return False, [], None
        return self._intact_tree(folder, marker) if self.tree else self._intact_programs(folder, marker)

    def _intact_programs(self, folder, marker):
        attributes, stale = [], False
        for name, member in self.programs.items():
            entry, path = marker["programs"].get(name), os.path.join(folder, PROGRAMS, name)
            found = self._intact_program(path, entry) if entry and entry["member"] == member else None
            if not found:
                return False, [], None
            if stamp(found) != entry["stamp"]:
                entry["stamp"] = stamp(found)
                stale = True
            if stat.S_IMODE(found.st_mode) != 0o755 or (os.geteuid() == 0 and (found.st_uid, found.st_gid) != (0, 0)):
                attributes.append(path)
        return True, attributes, marker if stale else None

    @staticmethod
    def _intact_program(path, entry):
        """What the kernel knows of a program that has the content it was installed with, else None."""
        try:
            found = os.lstat(path)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry["stamp"][0]:
            return None
        return found if stamp(found) == entry["stamp"] or atomic.sha256_file(path) == entry["sha256"] else None

    def _intact_tree(self, folder, marker):
        known = marker["tree"]
        if set(self.programs) - set(marker["programs"]):
            return False, [], None
        found = tree_digest(folder, stamp)
        if found == known["stamp"]:
            return True, [], None
        if tree_digest(folder, content) != known["content"]:
            return False, [], None
        known["stamp"] = found
        return True, [], marker

    def present(self, source, check=False, seconds=300):
        """Install the release and make it current.

        source: {"url": str, "token"?, "token_url"?} or {"src": path on this host}; None while it is not here: then all is done that can be without it
        Returns {changed, needs_source, version, path, directory, previous, pruned, diff}.
        """
        self.check_request()
        state = self.inspect()
        result = self._result(state)
        check = check or (source is None and not state["complete"])
        # What a killed run had in work goes too, also if that was all it had left to do.
        if not check and (result["changed"] or os.path.lexists(self.incoming)):
            atomic.make_folders(self.home, relabel=self.relabel)
            with self._locked(seconds):
                state = self.inspect()  # another run may have been here meanwhile
                result = self._result(state)
                self._clear()
                if result["changed"] and (source or state["complete"]):
                    self._install(state, source, seconds)
        elif check and not state["complete"] and source and "src" in source:
            self._check_source(source["src"])
        elif not check and state["stale_marker"] and not state["attributes"]:
            self._write_marker(os.path.join(self.home, self.folder), state["stale_marker"])
        return result

    @contextlib.contextmanager
    def _locked(self, seconds):
        """Nobody else changes what is installed of this product meanwhile."""
        try:
            with atomic.Lock(os.path.join(self.home, ".lock"), seconds):
                yield
        except Busy as error:
            raise Failure("name = %s: %s" % (self.name, error))

    def _needed(self, state):
        return bool(not state["complete"] or state["attributes"] or state["current"] != self.folder or state["surplus"])

    def _result(self, state):
        switched = state["current"] != self.folder
        before = state["current"] if switched else state["previous"]
        return {
            "changed": self._needed(state), "needs_source": not state["complete"], "version": str(self.version),
            "path": self.current, "directory": os.path.join(self.home, self.folder),
            "previous": self.release_of(before), "pruned": [os.path.join(self.home, name) for name in state["surplus"]],
            "diff": self._diff(state),
        }

    def _diff(self, state):
        before = self.label(state["current"])
        after = "%s (sha256 %s...)" % (self.version, self.sha256[:12])
        lines = [before + "\n" if before else "", after + "\n"]
        if before == after and not state["complete"]:
            lines[0] = before + ", damaged\n"
        elif before == after and state["attributes"]:
            lines[0] = before + ", with wrong mode or owner: " + ", ".join(state["attributes"]) + "\n"
        for name in state["surplus"]:
            lines[0] += "kept: " + self.label(name) + "\n"
        return {"before_header": self.current, "after_header": self.current, "before": lines[0], "after": lines[1]}

    def _check_source(self, path):
        """Failure unless a file of this host is the wanted one; nothing is written."""
        try:
            got, size = atomic.sha256_file(path), os.path.getsize(path)
        except (IOError, OSError) as error:
            raise Failure("src = %s: cannot be read on this host (%s); put the file there" % (path, error.strerror))
        self._verify(got, size, path)

    def _verify(self, got, size, source):
        if got != self.sha256:
            raise Failure("sha256 = %s: %s has %s (%d bytes), so it was modified or is a different file; %s, "
                          "check where the file comes from before you change the checksum" % (self.sha256, source, got, size, self._stays()))

    def _stays(self):
        """What is there after a release was refused."""
        current = self._link("current")
        return "%s stays current" % self.label(current) if current else "nothing was installed"

    def _install(self, state, source, seconds):
        """Under the lock: fetch what is missing, switch, prune."""
        if not state["complete"]:
            os.mkdir(self.incoming, 0o700)
            try:
                self._fetch(source, seconds)
            finally:
                self._clear()
        folder = os.path.join(self.home, self.folder)
        for path in state["attributes"]:
            self._own(path)
        if state["attributes"]:
            marker = self._marker(self.folder)
            for name in self.programs:
                marker["programs"][name]["stamp"] = stamp(os.lstat(os.path.join(folder, PROGRAMS, name)))
            self._write_marker(folder, marker)
        if state["current"] != self.folder:
            os.utime(folder, None)  # versions are pruned by the time they were last made current
            if state["current"] and self._marker(state["current"]):
                # First: were the run killed in between, `previous` would name the running version, never none.
                atomic.point(os.path.join(self.home, "previous"), state["current"])
            atomic.point(self.current, self.folder)
            atomic.sync_folder(self.home)
        for name in state["surplus"]:
            self._drop(name)

    def _fetch(self, source, seconds):
        """Get the archive into .incoming, verify it there, and bring its programs into the version directory."""
        archive, tree = os.path.join(self.incoming, "archive"), os.path.join(self.incoming, "tree")
        if "url" in source:
            what = source["url"]
            got, size = download(what, archive, seconds, source.get("token", ""), source.get("token_url", ""))
        else:
            what = source["src"]
            got, size = take(source["src"], archive)
        self._verify(got, size, what)
        os.mkdir(tree, 0o700)
        sums = self._unpack(archive, tree, what)
        os.unlink(archive)
        for name in sorted(self.programs):
            wrong = program_files.fault(os.path.join(tree, PROGRAMS, name))
            if wrong:
                raise Failure("programs = %s: %s of %s cannot run on this host: %s; %s, choose the right file for this host and its SHA-256"
                              % (name, self.programs[name], what, wrong, self._stays()))
        folder = os.path.join(self.home, self.folder)
        if os.path.islink(folder) or (os.path.lexists(folder) and not os.path.isdir(folder)):
            raise Failure("root = %s: %s is not a directory; move it away" % (self.root, folder))
        if self.tree:
            self._place_tree(tree, folder)
        else:
            self._place(tree, folder, sums)

    def _unpack(self, archive, tree, what):
        """Write what is wanted of an archive below `tree`. Returns {program: sha256}, empty if it is all files."""
        if not self.tree:
            os.mkdir(os.path.join(tree, PROGRAMS), 0o700)
            return unpack(archive, self.programs, os.path.join(tree, PROGRAMS), what)
        left = unpack_tree(archive, tree, what)
        if left:
            self.warnings.append("%s has links or devices, which were not installed: %s" % (what, ", ".join(left[:8]) + ", ..." * (len(left) > 8)))
        for name in sorted(self.programs):
            path = os.path.join(tree, PROGRAMS, name)
            if not os.path.isfile(path):
                raise Failure("programs = %s: %s has no %s/%s; choose another version or archive" % (name, what, PROGRAMS, name))
            os.chmod(path, 0o755)
        os.sync()
        return {}

    def _place_tree(self, tree, folder):
        """Make a tree the version directory."""
        for base, folders, files in os.walk(tree):
            for path in (os.path.join(base, name) for name in folders + files):
                if self.relabel:
                    self.relabel(path, os.path.join(folder, os.path.relpath(path, tree)))
        self._write_marker(tree, {
            "version": 1, "name": self.name, "release": str(self.version), "sha256": self.sha256,
            "programs": dict((name, {"member": member}) for name, member in self.programs.items()),
            "tree": {"stamp": tree_digest(tree, stamp), "content": tree_digest(tree, content)}})
        self._appear(tree, folder)

    def _appear(self, tree, folder):
        """Rename what is complete to its place. What was damaged there goes away at the last moment."""
        os.chmod(tree, 0o755)
        if self.relabel:
            self.relabel(tree, folder)
        atomic.sync_folder(tree)
        if os.path.isdir(folder):
            os.rename(folder, os.path.join(self.incoming, "damaged"))
        os.rename(tree, folder)
        atomic.sync_folder(self.home)

    def _place(self, tree, folder, sums):
        """Bring the programs in `tree` into the version directory. sums: {program: sha256}"""
        for name in [""] + sorted(sums):  # the directory itself too
            path = os.path.join(PROGRAMS, name).rstrip("/")
            self._own(os.path.join(tree, path))
            if self.relabel:
                self.relabel(os.path.join(tree, path), os.path.join(folder, path))
        if os.path.isdir(folder):
            # It is damaged, and may be running: its programs are replaced one by one, so that none is missing at any moment.
            if not os.path.isdir(os.path.join(folder, PROGRAMS)):
                atomic.make_folders(os.path.join(folder, PROGRAMS), relabel=self.relabel)
            for name in sums:
                os.rename(os.path.join(tree, PROGRAMS, name), os.path.join(folder, PROGRAMS, name))
            self._write_marker(folder, self._new_marker(folder, sums))
            atomic.sync_folder(self.home)
        else:
            self._write_marker(tree, self._new_marker(tree, sums))
            self._appear(tree, folder)

    @staticmethod
    def _own(path):
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
        os.chmod(path, 0o755)

    def _new_marker(self, folder, sums):
        old = self._marker(os.path.basename(folder)) or {"programs": {}}
        programs = dict(old["programs"])
        for name, value in sums.items():
            programs[name] = {"member": self.programs[name], "sha256": value, "stamp": stamp(os.lstat(os.path.join(folder, PROGRAMS, name)))}
        return {"version": 1, "name": self.name, "release": str(self.version), "sha256": self.sha256, "programs": programs}

    def _write_marker(self, folder, marker):
        text = json.dumps(marker, indent=1, sort_keys=True) + "\n"
        atomic.write(os.path.join(folder, MARKER), text.encode("utf-8"), 0o644, relabel=self.relabel)

    def _clear(self):
        """Remove what this run, or a killed one, has in work."""
        if os.path.lexists(self.incoming):
            shutil.rmtree(self.incoming)

    def _drop(self, name):
        """Remove a version directory: out of sight first, so that no half of it is ever taken for a whole one."""
        os.rename(os.path.join(self.home, name), self.incoming)
        self._clear()

    def absent(self, check=False, seconds=300):
        """Remove all versions that we installed. Returns {changed, removed, left, diff}."""
        if not os.path.isdir(self.home):
            return {"changed": False, "removed": [], "left": [], "diff": {"before": "", "after": ""}}
        current, removed = self._link("current"), self.versions()
        before = self.label(current)
        links = [name for name in ("current", "previous") if os.path.islink(os.path.join(self.home, name))]
        ours = removed + links
        left = sorted(set(os.listdir(self.home)) - set(ours) - set([".lock", INCOMING]))
        if not check and (ours or not left):
            with self._locked(seconds):
                self._clear()
                for name in links:
                    atomic.discard(os.path.join(self.home, name))
                for name in removed:
                    self._drop(name)
                if not left:
                    shutil.rmtree(self.home)
                    if not os.listdir(self.root):
                        os.rmdir(self.root)
        if left:
            self.warnings.append("%s is kept because it contains files that accelmon.fleet did not write: %s" % (self.home, ", ".join(left)))
        return {
            "changed": bool(ours or not left), "removed": [os.path.join(self.home, name) for name in removed],
            "left": [os.path.join(self.home, name) for name in left],
            "diff": {"before_header": self.current, "after_header": self.current,
                     "before": "".join(line + "\n" for line in [before] if line), "after": ""},
        }
