#!/bin/sh
# First process of a plain machine (a LAN's switch, gateway or workstation), until the last line replaces it: the real
# machine's file system with a /proc, /sys and /run of its own. Arguments and descriptors as for boot-host.sh:
#   boot-machine.sh DIR ROOT NAME
set -eu
. "$(dirname "$0")/boot-tools.sh"
tools ''
mount -t proc proc /proc
mount -t sysfs sysfs /sys
# Else this mount namespace would keep everybody's named network namespaces alive.
umount -R -l /run/netns 2>/dev/null || true
mount -t tmpfs -o mode=0755 tmpfs /run
hostname "$3"
ip link set lo up
echo up >&3
exec 3>&-
exec tini-static -s -- cat
