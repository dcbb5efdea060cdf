#!/bin/sh
# Gets what the tests, the demo and the bench need beside npm's packages. npm runs it before each of them.
set -eu
case $(node --version) in
v24.*) ;;
*)
	echo "setup: this is Node $(node --version), and Sallyport's own Node 24 is not installed: run 'npm ci' with optional dependencies, on Linux with glibc, x64 or arm64." >&2
	exit 1
	;;
esac
node "$(dirname "$0")/setup-opa.ts"
# With --cluster also what the chart's tests run beside, which takes long.
[ "${1:-}" != --cluster ] || exec "$(dirname "$0")/setup-cluster.sh"
