#!/bin/sh
# Builds what the chart's tests run beside: helm, Prometheus with promtool, and a Kubernetes API server with etcd. By Go, into the cache,
# where Go checks each module against its checksum database. Half an hour on two cores, and once; without them those tests
# are skipped. Names given as arguments are built alone: scripts/setup-cluster.sh helm
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sallyport
kubernetes=1.37.2
prometheus=0.316.0
command -v go >/dev/null 2>&1 || {
	echo 'setup: Go is not installed, and the tools of the chart are built with it: https://go.dev/dl/' >&2
	exit 1
}
export CGO_ENABLED=0 GOFLAGS=''

# Without it the server says that it is v0.0.0, and helm believes it.
stamp="-X k8s.io/component-base/version.gitVersion=v$kubernetes"

# $1 name, $2 version, $3 package, $4 module, $5 version of the module, $6 build tags. Modules whose go.mod replaces others cannot be
# installed by name: a module of its own requires them, and says where Kubernetes' own parts are published.
build() {
	place=$cache/$1-$2
	[ ! -x "$place/$1" ] || return 0
	echo "setup: building $1 $2 with go; only once" >&2
	mkdir -p "$place"
	work=$(mktemp -d "$place/build-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	(
		cd "$work"
		go mod init sallyport.internal/tools 2>/dev/null
		if [ "$4" = k8s.io/kubernetes ]; then
			file=$(go mod download -json "$4@$5" | sed -n 's/^[[:space:]]*"GoMod": "\(.*\)",*$/\1/p')
			sed -n 's/^[[:space:]]*\(k8s.io\/[a-z-]*\) => \.\/staging.*/\1/p' "$file" | while read -r module; do
				go mod edit -replace "$module=$module@v0.${kubernetes#1.}"
			done
		fi
		go mod edit -require "$4@$5"
		nice go build -mod=mod -tags="${6:-}" -trimpath -ldflags="-s -w $stamp" -o "$1" "$3"
	)
	mv "$work/$1" "$place/$1"
	rm -rf "$work"
	trap - EXIT
}

# Prometheus finds its targets in a file here: the clients of thirty clouds are left out, which is most of the build.
of_prometheus() {
	build "$1" $prometheus "github.com/prometheus/prometheus/cmd/$1" github.com/prometheus/prometheus v$prometheus remove_all_sd
}

for tool in ${*:-helm promtool prometheus etcd kube-apiserver}; do
	case $tool in
	helm) build helm 3.22.0 helm.sh/helm/v3/cmd/helm helm.sh/helm/v3 v3.22.0 ;;
	promtool | prometheus) of_prometheus $tool ;;
	etcd) build etcd 3.7.2 go.etcd.io/etcd/server/v3 go.etcd.io/etcd/server/v3 v3.7.2 ;;
	kube-apiserver) build kube-apiserver $kubernetes k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes v$kubernetes ;;
	*)
		echo "setup: there is no tool named $tool" >&2
		exit 1
		;;
	esac
done
