"""Replays an exposition as if it were about the GPUs of this host, as nvidia-smi lists them. For the lab alone.

    python3 replay.py PORT EXPOSITION HIDDEN

The rows of the exposition's first device become rows of each GPU, with the GPU's index, UUID and model; rows about no device stay.
GPUs whose index stands in the file HIDDEN, if there is one, are left out.
"""

import http.server
import re
import subprocess
import sys

PORT, EXPOSITION, HIDDEN = int(sys.argv[1]), sys.argv[2], sys.argv[3]
LABEL = re.compile(r'(\w+)="([^"]*)"')
# Labels of a row about a device: index, UUID and model, as DCGM's exporter and all-smi call them.
DCGM, ALL_SMI = ("gpu", "UUID", "modelName"), ("gpu_index", "gpu_uuid", "gpu")

QUERY = ["nvidia-smi", "--query-gpu=index,uuid,name", "--format=csv,noheader"]
GPUS = [line.split(", ") for line in subprocess.check_output(QUERY).decode().splitlines()]
with open(EXPOSITION, encoding="utf-8") as exposition:
    LINES = exposition.read().splitlines()


def hidden():
    """Indices of the GPUs that are left out."""
    try:
        with open(HIDDEN, encoding="utf-8") as handle:
            return handle.read().split()
    except FileNotFoundError:
        return []


def page():
    """The text of the page."""
    rows, without = [], hidden()
    for line in LINES:
        names = ALL_SMI if 'gpu_uuid="' in line else DCGM if 'UUID="' in line else None
        if line.startswith("#") or not names:
            rows.append(line)
        elif dict(LABEL.findall(line))[names[0]] == "0":
            for gpu in GPUS:
                if gpu[0] not in without:
                    new = dict(zip(names, gpu))
                    rows.append(LABEL.sub(lambda match, new=new: '%s="%s"' % (match.group(1), new.get(match.group(1), match.group(2))), line))
    return "\n".join(rows) + "\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET."""

    def do_GET(self):
        """The page, whatever is asked for."""
        body = page().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        """Nothing in the log for each scrape."""


http.server.ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
