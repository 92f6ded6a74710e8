#!/usr/bin/env bash
# Installs the Debian packages that the tests need, and only those that are missing.
set -euo pipefail

packages=(
  docker.io iproute2 nftables iptables iperf3 busybox-static tini debootstrap user-mode-linux
  debian-archive-keyring util-linux ethtool tcpdump dnsmasq-base isc-dhcp-server procps kmod openssl faketime
  openvswitch-switch systemd
  etcd-server etcd-client
  bind9 bind9-dnsutils avahi-daemon avahi-utils dbus-daemon
  neutron-server keystone uwsgi-core uwsgi-plugin-python3 mariadb-server python3-pymysql rabbitmq-server
  neutron-linuxbridge-agent neutron-openvswitch-agent neutron-dhcp-agent neutron-l3-agent ebtables
)

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "all ${#packages[@]} packages are installed"
  exit 0
fi

# Nothing may be started by being installed: the tests start their own engines, in namespaces of their own.
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

install() {
  apt-get install --yes --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}"
}

echo "installing: ${missing[*]}"
install || { apt-get update && install; }
