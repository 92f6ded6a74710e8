#!/bin/sh
# `make up`: starts Berth and shows two containers on a network of it. The work is in up.ts.
root=$(cd "$(dirname "$0")/.." && pwd)
exec "$root/node_modules/node/bin/node" "$root/tools/up.ts" "$@"
