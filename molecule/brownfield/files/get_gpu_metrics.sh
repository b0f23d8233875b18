#!/bin/sh
# What many sites run from cron: six gauges for each device, with one label.
out=${1:-/var/lib/prometheus/node-exporter}/gpu_metrics.prom
nvidia-smi --query-gpu=index,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw,power.limit --format=csv,noheader,nounits |
awk -F', *' '
  { printf "node_gpu_utilization_percent{gpu=\"%s\"} %s\n", $1, $2
    printf "node_gpu_memory_used_bytes{gpu=\"%s\"} %.0f\n", $1, $3 * 1048576
    printf "node_gpu_memory_total_bytes{gpu=\"%s\"} %.0f\n", $1, $4 * 1048576
    printf "node_gpu_temperature_celsius{gpu=\"%s\"} %s\n", $1, $5
    printf "node_gpu_power_draw_watts{gpu=\"%s\"} %s\n", $1, $6
    printf "node_gpu_power_limit_watts{gpu=\"%s\"} %s\n", $1, $7 }' > "$out.tmp" && mv "$out.tmp" "$out"
