"""A web server and a mail server that keep what they get, for notifications of any type. For tests; started on a host of the lab.

    python3 sinks.py WEB_PORT MAIL_PORT FILE

Each request and each mail becomes a line of FILE: {"path": that of the request, or "mail", "body": its text}. What is below /bad/ is refused.
"""

import http.server
import json
import socketserver
import sys
import threading


TELEGRAM = b'{"ok": true, "result": {"message_id": 1, "chat": {"id": -5}}}'


class Web(http.server.BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    def do_POST(self):
        """One request. Slack answers "ok", Telegram what it has sent."""
        self.server.keep(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(404 if self.path.startswith("/bad/") else 200)
        self.end_headers()
        self.wfile.write(TELEGRAM if self.path.startswith("/bot") else b"ok")

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
                self.server.keep("mail", b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.wfile.write(b"221 bye\r\n" if word == [b"QUIT"] else b"250 fine\r\n")


def started(keep, web, mail):
    """Both servers, each in a thread. keep: what to do with (path, body); web, mail: (address, port) of each"""
    servers = [http.server.ThreadingHTTPServer(web, Web), socketserver.ThreadingTCPServer(mail, Mail)]
    for server in servers:
        server.keep = keep
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return servers


def write_down(path, body):
    """Keep what came in the file; a line is written at once."""
    with open(sys.argv[3], "a", encoding="utf-8") as log:
        log.write(json.dumps({"path": path, "body": body}) + "\n")


if __name__ == "__main__":
    started(write_down, ("", int(sys.argv[1])), ("", int(sys.argv[2])))
    threading.Event().wait()
