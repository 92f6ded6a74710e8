#!/bin/sh
# `make down`: removes what `make up` made. The work is in up.ts.
root=$(cd "$(dirname "$0")/.." && pwd)
exec "$root/node_modules/node/bin/node" "$root/tools/up.ts" --down
