#!/bin/sh
# First process of a host, until the last line replaces it. Runs in fresh network, mount, pid, uts and ipc namespaces.
#   boot-host.sh DIR ROOT NAME REPOSITORY
# DIR is the host's folder: `disk` is what survives a power failure. ROOT is the file system it runs: `/`, or a Debian tree.
# File descriptor 3 is told when the host is up; standard input is at its end when the test is gone, and so is then the host.
#
# The root is assembled from read-only parts of ROOT and private folders, and entered with pivot_root: after a chroot,
# runc puts `docker exec` into the machine's real root. Leaving the old root behind also lets go of the machine's
# /run/netns, which would keep everybody's named namespaces alive.
set -eu
dir=$1 root=${2%/} name=$3 repository=$4
new=$dir/root disk=$dir/disk
. "$(dirname "$0")/boot-tools.sh"
mkdir -p "$new" "$disk" "$dir/log"

if [ ! -e "$disk/ready" ]; then
  mkdir -p "$disk/var/lib/docker" "$disk/var/lib/berth" "$disk/var/log" "$disk/var/cache" "$disk/var/tmp" "$disk/tmp" "$disk/root"
  chmod 1777 "$disk/tmp" "$disk/var/tmp"
  ln -sfn /run "$disk/var/run"
  ln -sfn /run/lock "$disk/var/lock"
  mkdir -p "$disk/etc/docker/plugins" "$disk/etc/berth"
  # An answer at once ("refused"): an address that nobody answers costs 10 s per unknown name, in containers too.
  echo 'nameserver 127.0.0.1' >"$disk/etc/resolv.conf"
  echo "$name" >"$disk/etc/hostname"
  printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$name" >"$disk/etc/hosts"
  mkdir -p "$disk/plugins"
  : >"$disk/ready"
fi

mount -t tmpfs -o mode=0755,size=16m bed "$new"
for entry in bin sbin lib lib32 lib64 libx32 usr; do
  if [ -L "$root/$entry" ]; then
    cp -P "$root/$entry" "$new/$entry"
  elif [ -d "$root/$entry" ]; then
    mkdir "$new/$entry"
    mount --bind "$root/$entry" "$new/$entry"
    mount -o remount,bind,ro "$new/$entry"
  fi
done
tools "$new"
mount --bind "$disk/plugins" "$new/usr/lib/docker/plugins"
[ -n "$root" ] && [ -d /usr/lib/modules ] && [ -d "$new/usr/lib/modules" ] && mount --bind /usr/lib/modules "$new/usr/lib/modules"

mkdir "$new/proc" "$new/sys" "$new/dev" "$new/run" "$new/old"
for private in etc var tmp root; do
  mkdir "$new/$private"
  mount --bind "$disk/$private" "$new/$private"
done
# What programs need of ROOT's /etc; the alternatives say which iptables it is.
for entry in passwd group nsswitch.conf host.conf gai.conf ld.so.cache ld.so.conf protocols services ld.so.conf.d iproute2 alternatives; do
  if [ -d "$root/etc/$entry" ]; then
    mkdir -p "$new/etc/$entry"
  elif [ -e "$root/etc/$entry" ]; then
    : >>"$new/etc/$entry"
  else
    continue
  fi
  mount --bind "$root/etc/$entry" "$new/etc/$entry"
  mount -o remount,bind,ro "$new/etc/$entry"
done
mount -t proc proc "$new/proc"
# A sysfs of this network namespace (/sys/class/net), with the machine's cgroups in it.
mount -t sysfs sysfs "$new/sys"
mount --rbind /sys/fs/cgroup "$new/sys/fs/cgroup"
mount --rbind /dev "$new/dev"
mount -t tmpfs -o mode=1777 tmpfs "$new/dev/shm"
mount -t tmpfs -o mode=0755 tmpfs "$new/run"
mkdir -p "$new/run/docker/plugins" "$new/run/lock" "$new/run/netns" "$new/run/docker-cli/cli-plugins"
# The repository, to run Berth from, and the host's own folder: at the same paths as outside.
mkdir -p "$new$repository" "$new$dir"
mount --bind "$repository" "$new$repository"
mount -o remount,bind,ro "$new$repository"
mount --bind "$dir" "$new$dir"

hostname "$name"
ip link set lo up
cd "$new"
pivot_root . old
cd /
umount -l /old
rmdir /old
echo up >&3
exec 3>&-
exec tini-static -s -- cat
