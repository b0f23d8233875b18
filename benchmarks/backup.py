# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a backup of many samples takes, how large it is, and how long it takes until a new host has it back.

    PYTHONPATH=.collections python3 benchmarks/backup.py --programs DIR [--series 10000] [--samples 1000]

A real victoria-metrics on loopback is backed up by the program that the timer starts, verified and restored to another directory as restore.yml does it, and
started there. Simulated: the samples, of which three of four series change with each scrape and one never does. Alertmanager and systemctl are stand-ins.
What site.yml takes to install a new host is not in it. Needs pytest and openssl, like the test whose host it uses.
"""
import argparse
import importlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, ".collections"))

from ansible_collections.accelmon.fleet.plugins.module_utils import backup as backups  # noqa: E402

EVERY_MS = 15000
# Series in one request.
PART = 200


def fill(host, series, samples):
    """Write made-up samples of the last hours."""
    end = int(time.time() * 1000)
    stamps = [end - EVERY_MS * back for back in range(samples, 0, -1)]
    for first in range(0, series, PART):
        lines = []
        for number in range(first, min(first + PART, series)):
            values = [7e10] * samples if number % 4 == 0 else [round(random.gauss(550, 40), 1) for dummy in stamps]
            labels = {"__name__": "accelerator_power_watts", "node": "gpu%05d" % (number // 8), "index": str(number % 8), "cluster": "bench"}
            lines.append(json.dumps({"metric": labels, "values": values, "timestamps": stamps}))
        request = urllib.request.Request(host.settings["storage"]["url"] + "/api/v1/import", data="\n".join(lines).encode())
        with urllib.request.urlopen(request, timeout=300):
            pass


def timed(what, call):
    """What a call returns; says how long it took."""
    begin = time.monotonic()
    found = call()
    print("%s: %.1f s, load %.1f" % (what, time.monotonic() - begin, os.getloadavg()[0]), flush=True)
    return found


def measure(folder, live, options):
    """Back up, verify, restore, start."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-subj", "/CN=bench", "-days", "3650", "-keyout", "recipient.key",
                    "-out", "recipient.pem"], check=True, cwd=folder, stderr=subprocess.DEVNULL)
    key = (folder / "recipient.key").read_text()
    old, new = (live.Host(folder / name, "victoriametrics", live.free_port()) for name in ("old", "new"))
    os.environ["PATH"] = "%s/bin:%s" % (new.folder, os.environ["PATH"])
    try:
        old.start()
        old.fill()
        timed("filled with %d samples" % (options.series * options.samples), lambda: fill(old, options.series, options.samples))
        live.eventually(lambda: (backups.series(old.settings, time.time()) or 0) >= options.series)
        code, said, last = timed("backup", old.back_up)
        if code:
            raise SystemExit(said)
        print("%.1f MB, %d series" % (last["bytes"] / 1e6, last["series"]))
        old.stop()
        for check in (True, False):
            timed("verified" if check else "verified and restored", lambda check=check: backups.restore(
                new.settings, last["path"], key, live.SIGNING, check, int(time.time()), lambda line: None))
        timed("started", new.start)
        found = timed("series counted", lambda: backups.finish(new.settings))
        print("%d of %d series are back" % (found["found"], found["series"]))
    finally:
        for host in (old, new):
            host.stop()
            host.server.shutdown()


def main():
    """Measure as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True, help="folder with victoria-metrics")
    parser.add_argument("--series", type=int, default=10000)
    parser.add_argument("--samples", type=int, default=1000, help="of each series, every 15 seconds")
    options = parser.parse_args()
    os.environ["ACCELMON_PROGRAMS"] = options.programs
    live = importlib.import_module("ansible_collections.accelmon.fleet.tests.unit.roles.backup.test_backup_live")
    with tempfile.TemporaryDirectory(prefix="accelmon-bench-") as folder:
        measure(pathlib.Path(folder), live, options)


if __name__ == "__main__":
    main()
