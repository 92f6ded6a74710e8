# shellcheck shell=sh
# Sourced by the boot scripts: /usr/local becomes busybox's programs for what neither Debian's minimal trees nor every
# machine has. It comes last in PATH. Hiding /usr/local is wanted too: it may hold another docker command than the engine's.
#   tools ROOT
tools() {
  mount -t tmpfs -o mode=0755,size=1m bed "$1/usr/local"
  mkdir "$1/usr/local/bin"
  : >"$1/usr/local/bin/busybox"
  mount --bind /usr/bin/busybox "$1/usr/local/bin/busybox"
  for applet in ping ping6 arping traceroute nc wget httpd udhcpc nslookup telnet; do
    ln -s busybox "$1/usr/local/bin/$applet"
  done
}
