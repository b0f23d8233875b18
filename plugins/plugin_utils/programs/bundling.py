# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a bundle on a machine that reaches upstream: fetches what is missing, lists it, signs the list.

A run that was killed is completed by the next: what is there and right is kept, a part of a download is continued.
"""
import json
import locale
import os
import re
import shutil
import sys
import tarfile
import tempfile

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, command
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import UPSTREAM, download
from ansible_collections.accelmon.fleet.plugins.module_utils.progress import size
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import closures, signature

# Without the links on the way: ansible-galaxy keeps links only within the directory that it is given.
COLLECTION = os.path.realpath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
PART = ".part"
SECONDS = 4 * 3600  # for one file; a server that stalls is given up sooner
BUILD_SECONDS = 600
PLACE = ("name", "os", "architecture")
IMAGES = "docker://"
ARCHIVE = re.compile(r"(\.tar\.gz|\.tgz|\.tar\.xz|\.zip)?\Z")
REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:([0-9a-f]{64})\Z")


# What is wanted

def release(name, stem, found, architecture):
    """The artifact of an archive. found: {version, url, sha256}; stem: what its file is called"""
    file = f"{stem}-{found['version']}.linux-{architecture}{ARCHIVE.search(found['url']).group()}"
    return {"name": name, "version": found["version"], "os": "linux", "architecture": architecture, "file": file, "sha256": found["sha256"],
            "source": found["url"]}


def image(role, version, reference, architecture):
    """The artifact of a container image. Its SHA-256 is known only when the archive is there: the reference has the image's own."""
    digest = REFERENCE.match(reference or "")
    if not digest:
        raise Problem("it has no digest, so it could change at any time; write it as NAME@sha256:DIGEST", f"{role}_image", reference)
    version = version or digest.group(1)[:12]
    return {"name": f"{role}_image", "version": version, "os": "linux", "architecture": architecture,
            "file": f"{role}_image-{version}.linux-{architecture}.tar", "sha256": "", "source": IMAGES + reference}


# The bundle

def make(bundle, wanted, say, key="", token="", token_url=UPSTREAM, check=False, packages=()):
    """Make or renew a bundle. Raises Problem, Failure and OSError.

    wanted: artifacts as above; one that has a `problem` instead of a file must be in the bundle already, put there by somebody else
    packages: what closures.py is asked for
    say: function that is told each line of progress
    Returns {changed, bundle, files: [artifact with size], bytes, new, changed_files, gone: [descriptions], signed}.
    """
    folder = os.path.expanduser(bundle)
    before = lock.before(lock.artifacts, folder, "accelmon_bundle") or []
    others = [one for one in before if "source" not in one]
    wanted = _complete(wanted, others, bundle)
    signer = {"signer": signature.signer(key)} if key else {}
    if not check:
        atomic.make_folders(folder)
    with tempfile.TemporaryDirectory() as spare:
        wanted += closures.artifacts(packages, spare)
        wanted.append(_collection(folder, spare))
        # What only the list before knows to be right, images and the collection, is believed if the list was signed.
        known = before if not key or _is_signed(folder, key) else []
        found, fetched = _fetched(folder, wanted, known, say, check, {"token": token, "token_url": token_url or UPSTREAM, "tell": say})
        after = sorted([_measured(folder, one) for one in others] + found, key=lambda one: [one[field] for field in lock.KEY])
        result = dict(_difference(before, after), bundle=folder, files=after, bytes=sum({one["file"]: one.get("size", 0) for one in after}.values()))
        text = lock.text_of("artifacts", after, **signer).encode("utf-8")
        if check:
            return dict(result, changed=_read(os.path.join(folder, lock.BUNDLE)) != text, signed=bool(key))
        gone = _clear(folder, before, after)
        written = _write(folder, text, key, spare)
        return dict(result, changed=gone or written or fetched, signed=os.path.exists(os.path.join(folder, signature.FILE)))


def lines(made, notes):
    """What `make` returned, for people."""
    found = [f"{word}: {', '.join(made[name])}" for word, name in (("new", "new"), ("changed", "changed_files"), ("gone", "gone")) if made[name]]
    found = found or ["nothing differs from the bundle before"]
    found += [f"not in the bundle: {note}" for note in notes]
    signed = "signed" if made["signed"] else f"not signed: give accelmon_bundle_key, or sign {lock.BUNDLE} yourself"
    return found + [f"{made['bundle']}: {len({one['file'] for one in made['files']})} files, {size(made['bytes'])}, {signed}"]


def _place(artifact):
    return tuple(artifact[field] for field in PLACE)


def _complete(wanted, others, bundle):
    """The artifacts to fetch, unless one of them cannot be had. others: those that somebody else has put into the bundle"""
    places, files = [_place(one) for one in others], {}
    wanted = [one for one in wanted if _place(one) not in places]
    for one in wanted:
        if "problem" in one:
            raise Problem(one["problem"])
        same = files.setdefault(one["file"], one)
        if (same["sha256"], same["source"]) != (one["sha256"], one["source"]):
            raise Problem(f"two hosts want two different {lock.describe(one)}, from {same['source']} and {one['source']}; give them the same "
                          f"{one['name']}_url and {one['name']}_sha256", "accelmon_bundle", bundle)
    return wanted


def _fetched(folder, wanted, before, say, check, access):
    """(artifacts with their size and SHA-256, whether any came now), after what was missing has come."""
    files = list(dict.fromkeys(one["file"] for one in wanted))
    known, fetched = {}, False
    for one in wanted:
        if one["file"] in known:
            continue
        how = _get(folder, one, before, check, access)
        left = len(files) - len(known) - 1
        here = how == "already there"
        known[one["file"]] = _listed(os.path.join(folder, one["file"])) if here or not check else {}
        large = f"{size(known[one['file']]['size'])}, " if known[one["file"]] else ""
        say(f"{one['file']}: {large}{how}, {left} of {len(files)} left")
        fetched = fetched or not here
    return [dict({field: value for field, value in one.items() if field != "built"}, **known[one["file"]]) for one in wanted], fetched


def _listed(path):
    return {"size": os.path.getsize(path), "sha256": atomic.sha256_file(path)}


def _get(folder, one, before, check, access):
    """Bring the file of an artifact into the bundle. Returns how, in words."""
    path = os.path.join(folder, one["file"])
    if os.path.islink(path):
        raise Problem(f"{one['file']} in it is a link; remove it", "accelmon_bundle", folder)
    if os.path.isfile(path) and _is_right(path, one, before):
        return "already there"
    if check:
        return "to be fetched"
    if "built" in one:
        atomic.replace(one["built"], path)
        return "built"
    if one["source"].startswith(IMAGES):
        _save_image(one, path)
        return "copied from the registry"
    begun = os.path.exists(path + PART)
    _download(one, path, access)
    return "downloaded" + (", continued" if begun else "")


def _is_right(path, one, before):
    """Whether a file is that of an artifact. An image is known by having been listed, the collection by that and its contents."""
    sums = [one["sha256"]] if one["sha256"] else [old["sha256"] for old in before if old["file"] == one["file"] and old.get("source") == one["source"]]
    return atomic.sha256_file(path) in sums and ("built" not in one or _contents(path) == _contents(one["built"]))


def _download(one, path, access):
    part, url = path + PART, one["source"]
    # What is there may be a part of something else: then all of it comes again.
    for resume in [True] * os.path.exists(part) + [False]:
        try:
            got, count = download(url, part, SECONDS, resume=resume, **access)
        except Failure as error:
            if resume and error.status == 416:  # there is no more than that
                continue
            raise
        if got == one["sha256"]:
            os.replace(part, path)
            return
    os.unlink(part)
    raise Problem(f"{url} has the SHA-256 {got} ({count} bytes), but {one['sha256']} is pinned for {lock.describe(one)}; find out why before you lock it again",
                  "accelmon_bundle", os.path.dirname(path))


def _save_image(one, path):
    """Copy an image of one architecture, known by its digest, into an archive."""
    reference, architecture, part = one["source"][len(IMAGES):], one["architecture"], path + PART
    atomic.discard(part)
    if shutil.which("skopeo"):
        _run(["skopeo", "copy", "--override-os=linux", f"--override-arch={architecture}", one["source"], f"oci-archive:{part}"], one)
    elif shutil.which("podman"):
        found = _run(["podman", "pull", "--quiet", "--os=linux", f"--arch={architecture}", reference], one).split()[-1]
        _run(["podman", "save", "--quiet", "--format=oci-archive", f"--output={part}", found], one)
    else:
        raise Problem("neither skopeo nor podman is here to copy it; install one of them", one["name"], reference)
    os.replace(part, path)


def _run(argv, one):
    code, output, errors = command.run(argv, SECONDS)
    if code != 0:
        raise Problem(f"{argv[0]} cannot copy the image ({' '.join(errors.split())[-300:]}); check the reference and this machine's access to "
                      "the registry", one["name"], one["source"])
    return output


# The collection

def _collection(folder, spare):
    """The artifact of this collection, built in the directory `spare`."""
    path = os.path.join(spare, "collection.tar.gz")
    if os.path.exists(os.path.join(COLLECTION, "MANIFEST.json")):
        _pack(path)
    else:
        _build(path, spare)
    told = json.loads(_contents(path))["collection_info"]
    version = told["version"]
    return {"name": "accelmon.fleet", "version": version, "os": "any", "architecture": "any", "file": f"accelmon-fleet-{version}.tar.gz", "sha256": "",
            "source": told.get("repository") or "accelmon.fleet", "built": path}


def _build(path, spare):
    """Build the collection from a clone."""
    code, _output, errors = command.run_bytes([sys.executable, "-m", "ansible", "galaxy", "collection", "build", COLLECTION, "--output-path", spare],
                                              BUILD_SECONDS, environment={
                                                  # It refuses every locale that is not UTF-8, as the ansible did that runs this.
                                                  "LC_ALL": locale.setlocale(locale.LC_CTYPE), "ANSIBLE_HOME": os.path.join(spare, "home")})
    made = [name for name in os.listdir(spare) if name.endswith(".tar.gz")]
    if code != 0 or not made:
        raise Problem(f"it cannot be built ({' '.join(errors.decode(errors='replace').split())[-300:]}); correct that", "accelmon.fleet", COLLECTION)
    os.rename(os.path.join(spare, made[0]), path)


def _pack(path):
    """Pack the collection as it was installed: what its own lists name, unchanged."""
    with open(os.path.join(COLLECTION, "FILES.json"), encoding="utf-8") as stream:
        listed = json.load(stream)["files"]
    with tarfile.open(path, "w:gz") as archive:
        for name in ["MANIFEST.json", "FILES.json"] + [one["name"] for one in listed if one["name"] != "."]:
            archive.add(os.path.join(COLLECTION, name), name, recursive=False)
    for one in listed:
        if one["ftype"] == "file" and atomic.sha256_file(os.path.join(COLLECTION, one["name"])) != one["chksum_sha256"]:
            raise Problem(f"{one['name']} was changed since it was installed; install the collection again", "accelmon.fleet", COLLECTION)


def _contents(path):
    """What a built collection consists of: its MANIFEST.json, which has the hash of the hashes of all files; "" if it is none."""
    try:
        with tarfile.open(path) as archive:
            return archive.extractfile("MANIFEST.json").read().decode("utf-8")
    except (tarfile.TarError, KeyError, EOFError, OSError, AttributeError, ValueError):
        return ""


# The list

def _measured(folder, one):
    """What somebody else put there, with its size."""
    try:
        told = _listed(os.path.join(folder, one["file"]))
    except OSError as error:
        raise Problem(f"{one['file']} of {lock.describe(one)} cannot be read ({error.strerror}); put it there", "accelmon_bundle", folder) from None
    if told["sha256"] != one["sha256"].lower():
        raise Problem(f"{one['file']} is not as it was listed; if you changed it, list it again with the module bundle_entry", "accelmon_bundle", folder)
    return dict(one, size=told["size"])


def _difference(before, after):
    """{new, changed_files, gone}: descriptions of artifacts, compared by name, version, system and architecture."""
    old, new = [{lock.describe(one): one["sha256"].lower() for one in artifacts} for artifacts in (before, after)]
    return {"new": sorted(set(new) - set(old)), "gone": sorted(set(old) - set(new)),
            "changed_files": sorted(name for name in new if name in old and new[name] and new[name] != old[name])}


def _clear(folder, before, after):
    """Remove files that are no longer listed, and parts of downloads. Returns whether there were any."""
    names = {one["file"] for one in before if "source" in one} - {one["file"] for one in after}
    names = [name for name in sorted(names) + [name for name in os.listdir(folder) if name.endswith(PART)]
             if os.path.lexists(os.path.join(folder, name))]
    for name in names:
        atomic.discard(os.path.join(folder, name))
    return bool(names)


def _read(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


def _is_signed(folder, key):
    """Whether the list was signed with a private key as it is."""
    signed = os.path.join(folder, signature.FILE)
    return os.path.exists(signed) and signature.is_signed(os.path.join(folder, lock.BUNDLE), key, signed, private=True)


def _write(folder, text, key, spare):
    """Write the list and its signature. Returns whether that changed anything."""
    path, signed = os.path.join(folder, lock.BUNDLE), os.path.join(folder, signature.FILE)
    changed = _read(path) != text
    if changed:
        atomic.discard(signed)  # it is of another list
        atomic.write(path, text)
    if not key or _is_signed(folder, key):
        return changed
    made = os.path.join(spare, signature.FILE)
    signature.sign(path, key, made)
    atomic.write(signed, _read(made))
    return True
