"""The two sides of an air gap: runs the lines of docs/airgap.md as they are printed there, with this scenario's paths in them.

Simulated: upstream, by a web server on this machine that has what `make lab-cache` built. Other than printed: the connected side's lines are told of
that server, and which releases it has; the last line, `site.yml`, is the scenario's converge. The isolated side's lines run without any network
interface.

Usage: sides.py, with Molecule's environment. What the lines print is printed.
"""

import contextlib
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT / "lab"))

import cache  # noqa: E402  pylint: disable=wrong-import-position,import-error

SIDES = {"connected": "## On the connected machine", "isolated": "## On the isolated one"}
RELEASES = ["node_exporter", "victoriametrics", "vmutils", "alertmanager"]
SECONDS = 900


def lines_of(side):
    """The lines that the document has for a side."""
    text = (CHECKOUT / "docs" / "airgap.md").read_text(encoding="utf-8")
    block = text.split(SIDES[side], 1)[1].split("```console\n", 1)[1].split("```", 1)[0]
    return [re.sub(r"\s+#\s.*", "", line[2:]) for line in block.splitlines() if line.startswith("$ ")]


class Sides:
    """Folders that stand for two machines and for what is carried between them, below a scenario's own."""

    def __init__(self):
        self.root = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "sides")

    def begin(self):
        """Make the folders. The public key comes another way than the bundle."""
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in ("connected/fleet", "isolated/fleet", "transport"):
            (self.root / folder).mkdir(parents=True)

    def lab(self, side, line):
        """A line of the document with the paths of this scenario."""
        places = {"/srv/fleet/inventory": os.environ["MOLECULE_INVENTORY_FILE"], "/srv/": f"{self.root / side}/",
                  "/media/transport": str(self.root / "transport")}
        return re.sub("|".join(places), lambda match: places[match.group()], line)

    def run(self, side, line):
        """Run a line on a side; what it printed. Raises AssertionError if it fails."""
        collections = {"connected": CHECKOUT / ".collections", "isolated": self.root / "isolated" / "collections"}[side]
        alone = ["unshare", "--user", "--map-root-user", "--net"] if side == "isolated" else []
        done = subprocess.run(
            [*alone, "sh", "-c", self.lab(side, line)], cwd=self.root / side, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=SECONDS, check=False, env={
                **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "no_proxy": "127.0.0.1",
                "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"})
        assert done.returncode == 0, f"{side}: {line}: exit status {done.returncode}\n{done.stdout}"
        return done.stdout

    def connected(self, first=0, **versions):
        """Make a bundle of these {release: version} and carry it away; first: the first line to run."""
        printed = []
        with self.upstream() as url:
            for line in lines_of("connected")[first:]:
                if "accelmon.fleet.lock " in line:
                    line += " -e " + json.dumps({"accelmon_release_url_prefix": url, "accelmon_lock_architectures": ["amd64"],
                                                 "accelmon_lock_releases": RELEASES, "accelmon_lock_versions": versions}).join("''")
                if "accelmon.fleet.bundle " in line:
                    line += f" -e accelmon_release_url_prefix={url}"
                printed.append(self.run("connected", line))
        return "".join(printed)

    def isolated(self):
        """Take the bundle over and look at it."""
        shutil.copy(self.root / "connected" / "fleet" / "bundle.pub", self.root / "isolated" / "fleet")
        return "".join(self.run("isolated", line) for line in lines_of("isolated")[:-1])

    @contextlib.contextmanager
    def upstream(self):
        """URL of a web server with upstream's paths."""
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Pages, directory=cache.root())) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


class Pages(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each request."""

    def log_message(self, *arguments):  # pylint: disable=arguments-differ
        pass


if __name__ == "__main__":
    sides = Sides()
    sides.begin()
    print(sides.connected(node_exporter="1.9.0") + sides.isolated())
