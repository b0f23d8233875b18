"""Runs all-smi's mock server, once for each platform, and answers with all their devices on one page. For the lab alone.

    python3 joined.py PORT
"""

import http.server
import os
import subprocess
import sys
import urllib.request

MOCK = "/usr/local/bin/all-smi-mock-server"
# Names as the real program has them, where the mock server knows none of its own for a platform.
PLATFORMS = {"nvidia": "", "amdgpu": "", "gaudi": "Intel Gaudi 3 OAM", "tenstorrent": "", "rebellions": "RBLN-CA25", "furiosa": "", "intel": "",
             "neuron": ""}
FIRST_PORT = 14001


def start(number, platform, name):
    """One mock server; its port. NVIDIA's also has processes."""
    port = FIRST_PORT + number
    command = [MOCK, "--platform", platform, "--port-range", str(port), "-o", "/dev/null"] + (["--gpu-name", name] if name else [])
    subprocess.Popen(command, env=dict(os.environ, **({"ALL_SMI_MOCK_PROCESSES": "1"} if platform == "nvidia" else {})), stdout=subprocess.DEVNULL)
    return port


PORTS = [start(number, platform, name) for number, (platform, name) in enumerate(PLATFORMS.items())]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET."""

    def do_GET(self):
        """The first page as it is, and the rows of devices of all others."""
        lines = []
        for port in PORTS:
            with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port, timeout=5) as answer:
                page = answer.read().decode().splitlines()
            lines += page if port == FIRST_PORT else [line for line in page if '_uuid="' in line]
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Nothing in the journal."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
