#!/usr/bin/env bash
# PID 1 of a host: gives it its own disks and an sshd, then waits to be switched off.
# init.sh FOLDER NAME VENV: FOLDER holds the host's files, VENV may be empty.
set -euo pipefail
folder=$1 name=$2 venv=$3

mount -t proc proc /proc
mount -t sysfs sysfs /sys 2>/dev/null || true
hostname "$name"
mount -t tmpfs -o mode=1777,size=2g tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd
for file in hosts hostname resolv.conf ssh; do
  mount --bind "$folder/etc/$file" "/etc/$file"
done
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/shared
mount --bind "$folder/../../shared" /mnt/shared

# where a path of the machine is mounted so that it is seen once /tmp and /root are the host's own
place_of() {
  case $1 in
    /tmp/* | /root/*) mkdir -p "$folder$1" && echo "$folder$1" ;;
    *) echo "$1" ;;
  esac
}

while read -r tree; do
  place=$(place_of "$tree")
  mount --bind "$tree" "$place"
  mount -o remount,bind,ro "$place"
done <"$folder/shown"
if [ -n "$venv" ]; then # what is installed on one host is on that host only
  place=$(place_of "$venv")
  mount -t overlay -o "lowerdir=$venv,upperdir=$folder/venv/upper,workdir=$folder/venv/work" overlay "$place"
fi
mount --rbind "$folder/root" /root
mount --rbind "$folder/tmp" /tmp

cd /
/usr/sbin/sshd
trap 'exit 0' TERM INT
while :; do
  sleep 3600 &
  wait $! || true
done
