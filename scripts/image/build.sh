#!/bin/sh
# Makes the tree of the container image in the folder OUT: the steps of the Dockerfile that are more than copying.
# usage: scripts/image/build.sh OUT   (after npm ci)
set -eu
out=${1:?usage: scripts/image/build.sh OUT}
root=$(cd "$(dirname "$0")/../.." && pwd -P)
PATH=$root/node_modules/.bin:$PATH
export PATH
[ ! -e "$out" ] || { echo "image: $out is there already" >&2; exit 2; }
mkdir -p "$out"
cd "$root"
node scripts/build.ts --out "$out/dist"
node scripts/image/assemble.ts "$out"
# Whoever runs it may read it all and change none of it.
chmod -R a=rX,u+w "$out"
chmod 755 "$out/bin/node" "$out/bin/sallyport"
