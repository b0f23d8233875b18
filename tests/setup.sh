#!/bin/sh
# Prepares this machine for the tests and the demo, then runs a command with the tools on its PATH.
#
#   tests/setup.sh [--lab] [--preview] [--collections] [COMMAND ARGUMENT...]
#
# --lab   also what the lab needs: podman and its parts, mmdebstrap, ssh. As root on Debian they are installed;
#         otherwise this names what is missing.
# --preview   also what make preview needs: node, npm, Chromium, and the packages of dashboards/preview/package-lock.json
# --collections   also the collection awx.awx, for the tests of awx.yml: 55 MB to download, once
#
# The tools live in ${XDG_CACHE_HOME:-~/.cache}/accelmon/venv-HASH, made once for each state of requirements.txt.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/accelmon
say() { echo "setup: $*" >&2; }
fail() { say "error: $*"; exit 1; }

# Installs Debian packages, or says which.
packages() {
  if command -v apt-get >/dev/null && test "$(id -u)" = 0; then
    say "installing with apt-get: $*"
    mkdir -p "$cache/logs"
    # A foreign package source that cannot be read is no reason to stop: what is needed is Debian's own.
    apt-get update >"$cache/logs/apt.log" 2>&1 || say "apt-get update had trouble, see $cache/logs/apt.log"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$cache/logs/apt.log" 2>&1 ||
      fail "apt-get install $* failed; see $cache/logs/apt.log"
  else
    fail "missing: $*. These are Debian's package names; install them, for instance: sudo apt-get install --no-install-recommends $*"
  fi
}

# Prints a Python that ansible-core 2.19 runs on and that can make virtual environments, by its real path:
# a shim on PATH may name versions that are not selected.
python() {
  for name in ${ACCELMON_PYTHON:-} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
    "$name" -c 'import sys, venv, ensurepip
assert (3, 11) <= sys.version_info[:2] <= (3, 13)
print(sys.executable)' 2>/dev/null && return
  done
  return 1
}

lab=no
preview=no
collections=no
while :; do
  case ${1:-} in
    --lab) lab=yes ;;
    --preview) preview=yes ;;
    --collections) collections=yes ;;
    *) break ;;
  esac
  shift
done

if test "$lab" = yes; then
  # Asked for by program, because distributions split them differently; two have no name on PATH.
  missing=""
  for pair in podman:podman runc:runc conmon:conmon newuidmap:uidmap iptables:iptables ssh:openssh-client ssh-keygen:openssh-client \
      dpkg-deb:dpkg; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
  done
  for name in netavark aardvark-dns; do
    test -x "/usr/lib/podman/$name" || test -x "/usr/libexec/podman/$name" || missing="$missing $name"
  done
  test -n "${ACCELMON_LAB_BASE:-}" || command -v mmdebstrap >/dev/null || missing="$missing mmdebstrap"
  # Not necessary, so only taken where it costs nobody a question; the tests say when it was missing.
  if test "$(id -u)" = 0 && command -v apt-get >/dev/null; then
    command -v shellcheck >/dev/null || missing="$missing shellcheck"
    command -v rclone >/dev/null || missing="$missing rclone"
  fi
  # shellcheck disable=SC2086 # a list of words
  test -z "$missing" || packages $missing
fi

python=$(python) || { packages python3-venv && python=$(python); } ||
  fail "needs Python 3.11, 3.12 or 3.13 with its venv module; name one in ACCELMON_PYTHON"
hash=$({ cat "$here/requirements.txt"; "$python" -VV; echo "$python"; } | sha256sum | cut -c1-12)
venv=$cache/venv-$hash
if ! test -e "$venv/complete"; then
  say "making the virtual environment $venv with $python"
  rm -rf "$venv"
  mkdir -p "$cache/logs"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt" >"$cache/logs/pip.log" 2>&1 ||
    fail "pip install failed; see $cache/logs/pip.log"
  : > "$venv/complete"
fi

if test "$collections" = yes; then
  # It comes in a package with a hundred others, which nobody here needs.
  folder=$cache/collections-$(sha256sum "$here/collections.txt" | cut -c1-12)
  if ! test -e "$folder/complete"; then
    say "fetching awx.awx into $folder: 55 MB to download"
    rm -rf "$folder"
    mkdir -p "$folder" "$cache/logs"
    "$venv/bin/python" -m pip download --quiet --no-deps --only-binary :all: --dest "$folder" --requirement "$here/collections.txt" \
      >"$cache/logs/collections.log" 2>&1 || fail "pip download failed; see $cache/logs/collections.log"
    "$venv/bin/python" -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[2]) as wheel:
    wheel.extractall(sys.argv[1], [name for name in wheel.namelist() if name.startswith("ansible_collections/awx/")])' "$folder" "$folder"/*.whl
    rm "$folder"/*.whl
    : > "$folder/complete"
  fi
fi

if test "$preview" = yes; then
  missing=""
  command -v node >/dev/null || missing="$missing nodejs"
  command -v npm >/dev/null || missing="$missing npm"
  command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || missing="$missing chromium-headless-shell"
  # shellcheck disable=SC2086 # a list of words
  test -z "$missing" || packages $missing
  ACCELMON_PREVIEW=$cache/preview-$(cat "$here/../dashboards/preview/package-lock.json" "$here/../dashboards/preview/.npmrc" | sha256sum | cut -c1-12)
  export ACCELMON_PREVIEW
  if ! test -e "$ACCELMON_PREVIEW/complete"; then
    say "installing Grafana's libraries into $ACCELMON_PREVIEW: 150 MB to download"
    rm -rf "$ACCELMON_PREVIEW"
    mkdir -p "$ACCELMON_PREVIEW" "$cache/logs"
    for name in package.json package-lock.json .npmrc; do
      cp "$here/../dashboards/preview/$name" "$ACCELMON_PREVIEW"
    done
    (cd "$ACCELMON_PREVIEW" && npm ci) >"$cache/logs/npm.log" 2>&1 || fail "npm ci failed; see $cache/logs/npm.log"
    : > "$ACCELMON_PREVIEW/complete"
  fi
fi

test $# -gt 0 || { say "ready: $venv"; exit 0; }
PATH=$venv/bin:$PATH
export PATH
exec "$@"
