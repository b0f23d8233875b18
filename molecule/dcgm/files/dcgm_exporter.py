"""Stands for NVIDIA's dcgm-exporter in the lab: simulated, there is no DCGM in it.

It takes the arguments that ours gives, refuses a list of counters as the real one does (a line without three parts, a field that
its version does not know), opens the device nodes, asks nvidia-smi (simulated too) which GPUs there are, connects to a host engine
if it is told to, and speaks TLS by exporter-toolkit's file. Values are made up; names, labels and their order follow NVIDIA's documentation.

Files in /lab make it misbehave: dcgm.mig (the second GPU has two instances), dcgm.hang (it accepts and never answers).
"""
import argparse
import base64
import csv
import http.server
import os
import re
import socket
import ssl
import subprocess
import sys

VERSION = "@VERSION@"
UNKNOWN = {"4.8.2": ["DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION"]}.get(VERSION, [])
SYS_ADMIN = 1 << 21
PER_LINK_OR_DEVICE = ("DCGM_FI_DEV_GPU_UTIL",)  # what MIG instances have none of


def die(text):
    sys.stderr.write("level=ERROR msg=%s\n" % text)
    sys.exit(1)


def counters(path):
    with open(path) as stream:
        rows = [[cell.strip() for cell in row] for row in csv.reader(line for line in stream if not line.startswith("#")) if row]
    for row in rows:
        if len(row) != 3:
            die("malformed CSV record; expected 3 fields: %s" % row)
        if row[0] in UNKNOWN or not re.match("DCGM_(FI|EXP)_", row[0]):
            die("could not find DCGM field: " + row[0])
    return rows


def capable():
    with open("/proc/self/status") as stream:
        return bool(int(re.search(r"CapEff:\s*(\w+)", stream.read()).group(1), 16) & SYS_ADMIN)


def gpus():
    text = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    return re.findall(r"GPU (\d+): (.*) \(UUID: (\S+)\)", text)


def jobs(folder, index):
    try:
        with open(os.path.join(folder, index)) as stream:
            return [line.strip() for line in stream if line.strip()]
    except OSError:
        return []


def page(rows, options):
    lines, devices, may_profile = [], gpus(), capable()
    for name, kind, text in rows:
        if kind == "label" or ("_PROF_" in name and not may_profile):
            continue
        lines += ["# HELP %s %s" % (name, text), "# TYPE %s %s" % (name, kind)]
        for index, model, uuid in devices:
            parts = [('GPU_I_PROFILE="3g.40gb",GPU_I_ID="%d",' % part) for part in (1, 2)] if index == "1" and os.path.exists("/lab/dcgm.mig") else [""]
            for part in parts:
                if part and name in PER_LINK_OR_DEVICE:
                    continue
                for job in (jobs(options.hpc_job_mapping_dir, index) or [""]) if options.hpc_job_mapping_dir else [""]:
                    labels = 'gpu="%s",UUID="%s",pci_bus_id="00000000:%02X:00.0",device="nvidia%s",modelName="%s",%shostname="%s"' % (
                        index, uuid, int(index) + 16, index, model, part, socket.gethostname())
                    labels += ',hpc_job="%s"' % job if job else ""
                    labels += "".join(',%s="simulated"' % other for other, sort, _help in rows if sort == "label")
                    lines.append("%s{%s} %s" % (name, labels, sum(map(ord, name)) % 90 + int(index)))
    return "\n".join(lines) + "\n"


def web(path):
    text = open(path).read() if path else ""
    return dict(re.findall(r"^  (\w+): *\"?'?([^\"'\n]*)", text, re.MULTILINE)), "basic_auth_users" in text


def main():
    parser = argparse.ArgumentParser()
    for name in ("collectors", "address", "collect-interval", "remote-hostengine-info", "hpc-job-mapping-dir", "web-config-file"):
        parser.add_argument("--" + name, default="")
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("--version", action="store_true")
    options = parser.parse_args()
    if options.version:
        print("DCGM Exporter version simulated-" + VERSION)
        return
    rows = counters(options.collectors)
    for device in ("/dev/nvidiactl", "/dev/nvidia0"):
        try:
            os.close(os.open(device, os.O_RDWR))
        except OSError as error:
            die("%s: %s" % (device, error.strerror))
    if options.remote_hostengine_info:
        host, _colon, port = options.remote_hostengine_info.rpartition(":")
        try:
            socket.create_connection((host, int(port)), 3).close()
        except OSError as error:
            die("cannot connect to the host engine %s: %s" % (options.remote_hostengine_info, error))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if os.path.exists("/lab/dcgm.hang"):
                self.rfile.read(1)
            known = self.headers.get("Authorization", "").startswith("Basic ") and b":" in base64.b64decode(self.headers["Authorization"][6:] + "==")
            status = 404 if self.path != "/metrics" else 401 if closed and not known else 200
            body = page(rows, options).encode() if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                pass  # the client has seen enough

        def log_message(self, *arguments):
            pass

    settings, closed = web(options.web_config_file)
    address, _colon, port = options.address.rpartition(":")
    http.server.ThreadingHTTPServer.address_family = socket.AF_INET6 if not address or ":" in address else socket.AF_INET
    server = http.server.ThreadingHTTPServer((address.strip("[]") or "::", int(port)), Handler)
    if settings.get("cert_file"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["cert_file"], settings["key_file"])
        if settings.get("client_auth_type") == "RequireAndVerifyClientCert":
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(settings["client_ca_file"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


main()
