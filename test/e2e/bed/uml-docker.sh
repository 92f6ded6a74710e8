# shellcheck shell=sh
# Sourced by uml-init.sh: a Docker engine in the guest, with the image `bed-busybox`.
# The guest's nftables has no NAT chains: the older iptables come first.
mkdir -p /run/bin
for tool in iptables ip6tables iptables-save iptables-restore ip6tables-save ip6tables-restore; do
  ln -sf /usr/sbin/xtables-legacy-multi "/run/bin/$tool"
done
export PATH="/run/bin:$PATH" DOCKER_CONFIG=/run/docker-cli
mkdir -p /var/lib/docker
mount -t tmpfs tmpfs /var/lib/docker
mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup
for controller in cpu cpuacct memory devices freezer blkio pids net_cls; do
  mkdir -p "/sys/fs/cgroup/$controller"
  mount -t cgroup -o "$controller" "$controller" "/sys/fs/cgroup/$controller"
done
# Go's preemption by signals is slow here, and now and then breaks a system call (epoll_wait: EINVAL).
export GODEBUG=asyncpreemptoff=1
# shellcheck disable=SC2046 # one word per flag is meant
dockerd --data-root /var/lib/docker --exec-root /run/docker --pidfile /run/dockerd.pid -H unix:///run/docker.sock \
  --storage-driver overlay2 $(cat "$BERTH_DIR/dockerd.flags") >"$BERTH_DIR/dockerd.log" 2>&1 &
export DOCKER_HOST=unix:///run/docker.sock
tries=0
until docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || return 1
  sleep 0.5
done
docker import --change 'ENTRYPOINT ["/sbin/tini", "--"]' --change 'CMD ["sh"]' --change 'ENV PATH=/usr/bin:/bin:/sbin' "$BERTH_DIR/image.tar" bed-busybox >/dev/null
