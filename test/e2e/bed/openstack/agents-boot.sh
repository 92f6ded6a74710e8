#!/bin/sh
# The side of a host that belongs to OpenStack: this machine's file system, with the host's network, processes and name. Runs in
# a mount namespace of its own; the last line holds it until the host goes down.
set -eu
mount -t proc proc /proc
mount -t sysfs sysfs /sys
# Else this mount namespace would keep everybody's named network namespaces alive.
umount -R -l /run/netns 2>/dev/null || true
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/netns /run/lock /run/agents
echo up
exec sleep infinity
