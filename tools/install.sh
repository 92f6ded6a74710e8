#!/usr/bin/env bash
# Installs what `make build` made, so that it needs neither the checkout nor npm; with --remove, takes it away again.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
unitdir=${UNITDIR:-/usr/lib/systemd/system}
root=${DESTDIR:-}
lib=$root$prefix/lib/berth
bin=$root$prefix/bin/berth
# Contiv's names, and kuryr-libnetwork's.
old_names=(netctl netmaster netplugin kuryr-server)
units=(berth.service berth-master.service)

# Where files go into a package's staging directory, the systemd of this machine is none of our business.
reload() {
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

if [ "${1:-}" = --remove ]; then
  rm -rf "$lib"
  rm -f "$bin" "${units[@]/#/$root$unitdir/}"
  for name in "${old_names[@]}"; do
    if [ "$(readlink "$root$prefix/bin/$name")" = "../lib/berth/bin/$name" ]; then rm "$root$prefix/bin/$name"; fi
  done
  reload
  echo "removed Berth from $root$prefix; /var/lib/berth and the networks stay"
  exit 0
fi

# A running agent keeps the files it has open: the new version is put beside and takes the place in one step.
new=$lib.new
rm -rf "$new" "$lib.old"
mkdir -p "$new/bin" "$(dirname "$bin")" "$root$unitdir"
install -m 0755 bin/berth "${old_names[@]/#/bin/}" "$new/bin/"
install -m 0755 node_modules/node/bin/node "$new/node"
node_modules/node/bin/node build.ts --out "$new/dist"
install -m 0644 LICENSE "$new/LICENSE"
if [ -d "$lib" ]; then mv "$lib" "$lib.old"; fi
mv "$new" "$lib"
rm -rf "$lib.old"
ln -sfn ../lib/berth/bin/berth "$bin"
for name in "${old_names[@]}"; do
  # One that is Contiv's or kuryr's own stays what it is.
  if [ -e "$root$prefix/bin/$name" ] && [ ! -L "$root$prefix/bin/$name" ]; then
    echo "left $prefix/bin/$name alone: it is not Berth's; ours is $prefix/lib/berth/bin/$name"
  else
    ln -sfn "../lib/berth/bin/$name" "$root$prefix/bin/$name"
  fi
done
for unit in "${units[@]}"; do
  sed "s|^ExecStart=[^ ]*|ExecStart=$prefix/bin/berth|" "packaging/$unit" >"$root$unitdir/$unit"
  chmod 0644 "$root$unitdir/$unit"
done
reload

echo "installed Berth in $root$prefix"
if [ -z "$root" ]; then echo "start it with: systemctl enable --now berth"; fi
