#!/bin/sh
# Slurm on one host: controller and node. MIG-like slices of the first GPU come before the whole ones, which are in no order of their numbers.
set -eu
export DEBIAN_FRONTEND=noninteractive
# The packages' own slurmd would be started without a configuration, and waited for.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -qq update
apt-get -qq install --no-install-recommends slurmctld slurmd slurm-client munge > /dev/null
rm /usr/sbin/policy-rc.d
id user1 > /dev/null 2>&1 || useradd --create-home user1
mkdir -p /etc/slurm /var/spool/slurmctld /var/spool/slurmd /var/log/slurm
chown slurm /var/spool/slurmctld /var/log/slurm
host=$(hostname)
# 22.05 makes a GPU of each of MultipleFiles, and does not know how to leave out cgroups; it does without.
slices=2
case $(slurmd -V) in *' 22.05'*) slices=1 ;; *) echo CgroupPlugin=disabled > /etc/slurm/cgroup.conf ;; esac
cat > /etc/slurm/slurm.conf <<C
ClusterName=lab
SlurmctldHost=$host
SlurmUser=slurm
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
PrologFlags=Alloc
Prolog=/etc/accelmon/slurm/prolog
Epilog=/etc/accelmon/slurm/epilog
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
ReturnToService=2
KillWait=2
GresTypes=gpu,shard
NodeName=$host CPUs=32 RealMemory=1000 Gres=gpu:slice:$slices,gpu:h100:3,shard:12 State=UNKNOWN
PartitionName=gpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
C
for number in 0 1; do [ -c /dev/fakegpu$number ] || mknod /dev/fakegpu$number c 195 $number; done
cat > /etc/slurm/gres.conf <<C
AutoDetect=off
$(if [ $slices = 1 ]; then
  echo Name=gpu Type=slice File=/dev/nvidia0
else
  echo Name=gpu Type=slice MultipleFiles=/dev/nvidia0,/dev/fakegpu0
  echo Name=gpu Type=slice MultipleFiles=/dev/nvidia0,/dev/fakegpu1
fi)
Name=gpu Type=h100 File=/dev/nvidia2
Name=gpu Type=h100 File=/dev/nvidia1
Name=gpu Type=h100 File=/dev/nvidia3
Name=shard Count=4 File=/dev/nvidia2
Name=shard Count=4 File=/dev/nvidia1
Name=shard Count=4 File=/dev/nvidia3
C
