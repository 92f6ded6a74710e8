#!/bin/sh
# init of a User-Mode Linux guest. Its root is the machine's own (hostfs), mounted read-only; over it lies an overlay in
# the guest's memory, so that nothing that the guest writes reaches the machine. Only the folder of the run is shared:
# `script` is what to do, `output` and `code` are what came of it. The kernel gives what it does not know of its command
# line to init as environment: BERTH_DIR is the folder. A file `dockerd.flags` in it asks for an engine.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=0755 tmpfs /run
release=$(uname -r)
mkdir -p /run/modules/lib/modules /run/upper /run/work /run/root
ln -s "/usr/lib/uml/modules/$release" "/run/modules/lib/modules/$release"
modprobe -d /run/modules overlay
mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work overlay /run/root
cd /run/root || exit 1
mkdir -p "lib/modules" "./$BERTH_DIR"
ln -sfn "/usr/lib/uml/modules/$release" "lib/modules/$release"
mount -t proc proc proc
mount -t sysfs sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs dev/shm 2>/dev/null
mount -t hostfs -o "$BERTH_DIR" none "./$BERTH_DIR"
mkdir run/old run/netns
pivot_root . run/old
cd /
umount -l /run/old
ip link set lo up
# Other modules come by themselves: the kernel asks for what a link type or a rule needs.
modprobe br_netfilter
here=$(dirname "$0")
{
  if [ -e "$BERTH_DIR/dockerd.flags" ]; then . "$here/uml-docker.sh"; fi && (. "$BERTH_DIR/script")
  echo $? >"$BERTH_DIR/code.new"
} >"$BERTH_DIR/output" 2>&1 </dev/null
mv "$BERTH_DIR/code.new" "$BERTH_DIR/code"
echo o >/proc/sysrq-trigger
sleep 60
