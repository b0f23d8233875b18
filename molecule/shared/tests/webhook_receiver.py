"""A receiver of Alertmanager's webhooks that keeps what it gets. For tests; started on a host of the lab.

    python3 webhook_receiver.py PORT FILE

Each notification becomes a line of FILE: {"path", "at", "status", "receiver", "alerts": [{"status", "labels"}]}.
"""

import http.server
import json
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes notifications."""

    def do_POST(self):
        """One notification."""
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kept = {"path": self.path, "at": time.time(), "status": told["status"], "receiver": told["receiver"],
                "alerts": [{"status": alert["status"], "labels": alert["labels"]} for alert in told["alerts"]]}
        with open(sys.argv[2], "a", encoding="utf-8") as log:
            log.write(json.dumps(kept) + "\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments):
        """Nothing on the terminal."""


if __name__ == "__main__":
    http.server.HTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
