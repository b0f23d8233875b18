"""A web server and a mail server that keep what they get, for notifications of any type. For tests; started on a host of the lab.

    python3 sinks.py WEB_PORT MAIL_PORT FILE

Each request and each mail becomes a line of FILE: {"path": that of the request, or "mail", "body": its text}.
"""

import http.server
import json
import socketserver
import sys
import threading


def keep(path, body):
    """Write down what came; a line is written at once."""
    with open(sys.argv[3], "a", encoding="utf-8") as log:
        log.write(json.dumps({"path": path, "body": body}) + "\n")


class Web(http.server.BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    def do_POST(self):
        """One request. Slack answers "ok"."""
        keep(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_arguments):
        """Nothing on the terminal."""


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs."""

    def handle(self):
        """One connection."""
        self.wfile.write(b"220 sink\r\n")
        for line in self.rfile:
            word = line.split()[:1]
            if word == [b"DATA"]:
                self.wfile.write(b"354 go\r\n")
                keep("mail", b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.wfile.write(b"221 bye\r\n" if word == [b"QUIT"] else b"250 fine\r\n")


if __name__ == "__main__":
    threading.Thread(target=socketserver.ThreadingTCPServer(("", int(sys.argv[2])), Mail).serve_forever, daemon=True).start()
    http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Web).serve_forever()
