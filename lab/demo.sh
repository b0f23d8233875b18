#!/bin/sh
# The demo: a monitoring host and three nodes in containers, converged, verified, and left running.
#
#   tests/setup.sh [--lab] lab/demo.sh up|down
set -eu

cd "$(dirname -- "$0")/.."
inventory=inventories/demo
report=$PWD/.cache/demo-report.html
lab() { python lab/lab.py "$@"; }
say() { printf '\n==> %s\n' "$*"; }
play() {
  say "ansible-playbook -i $inventory $*"
  ansible-playbook -i "$inventory" "$@"
}
# What the demo's monitoring host made for itself.
password() {
  ansible -i "$inventory" mon1 --become -m ansible.builtin.slurp -a src=/etc/accelmon/secrets/stack_password |
    sed -n 's/.*"content": "\([^"]*\)".*/\1/p' | base64 -d
}

case ${1:-} in
  up)
    say "Starting mon1, nvidia1, amd1 and plain1 as systemd hosts in containers (the first time their images are built)"
    mkdir -p "$(dirname "$report")"
    lab up --name demo --hosts lab/demo.json
    lab inventory --name demo > "$inventory/lab.json"
    play site.yml
    # The first samples and the first evaluation of the rules take a few scrape intervals.
    play playbooks/verify.yml -e accelmon_verify_wait=120
    play playbooks/status.yml
    play playbooks/report.yml -e "accelmon_report_file=$report"
    cat <<END

The demo runs. Its accelerators are SIMULATED (below the vendor tool for NVIDIA, below sysfs for AMD); all else is real.
Its alerts fire after 10 seconds instead of minutes (accelmon_alert_overrides in $inventory/group_vars/all.yml).

Open the report in a browser, no server is needed:
  $report

Everything else wants a password:
  user accelmon, password       $(password)
  alerts                        https://127.0.0.1:8880/vmalert/alerts
  targets                       https://127.0.0.1:8429/targets
  storage, for instance         https://127.0.0.1:8428/api/v1/query?query=accelerator_temperature_celsius
  Alertmanager                  https://127.0.0.1:9093/
  The demo's own authority signed their certificates; a browser asks whether you trust it. (Debian builds VictoriaMetrics and
  Alertmanager without their own pages, and has no Grafana. Look at the series with any tool that speaks to Prometheus. docs/vmui.md and
  docs/dashboards.md say how a real fleet gets more.)

Try, and look at the report and status.yml half a minute later:
  python3 lab/lab.py device remove --name demo nvidia1 3    # "restore" puts it back
  python3 lab/lab.py stop --name demo plain1                # "start" boots it again
  tests/setup.sh ansible-playbook -i $inventory playbooks/report.yml -e accelmon_report_file=$report
  tests/setup.sh ansible-playbook -i $inventory playbooks/status.yml
  make demo-down                                            # removes the demo
END
    ;;
  down)
    lab down --name demo
    rm -f "$inventory/lab.json" "$report"
    ;;
  *)
    echo "usage: lab/demo.sh up|down" >&2
    exit 2
    ;;
esac
