#!/bin/sh
# Build a Kubernetes API server from Debian's source package into a folder, once; etcd comes from Debian as it is.
#
#   sh tests/k8s/build-apiserver.sh .cache/apiserver
#
# Debian 12 has Kubernetes 1.20.2 as source and, of its binaries, the client alone. Its vendored reflect2 does not link with
# Go 1.18 and newer, so Debian's own takes its place. About a quarter of an hour on two cores, 6 GB of memory, 2 GB of disk.
set -eu

folder=${1:?usage: build-apiserver.sh FOLDER}
[ -x "$folder/kube-apiserver" ] && [ -x "$folder/etcd" ] && exit 0

. /etc/os-release
if [ "${ID:-}" != debian ] || [ "${VERSION_ID:-}" != 12 ] || [ "$(id -u)" != 0 ]; then
    echo "test-apiserver: builds as root on Debian 12 only; put kube-apiserver and etcd into $folder by other means" >&2
    exit 3
fi

mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "test-apiserver: building a kube-apiserver, once (about a quarter of an hour)" >&2
# The system's own package sources, asked for source packages, in lists of their own.
mkdir -p "$work/sources" "$work/lists/partial"
for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] && sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/sources/$(basename "$file")"
done
[ -e /etc/apt/sources.list ] && sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$work/sources/system.list"
sources="-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$work/sources -o Dir::State::lists=$work/lists"
apt-get update -qq
apt-get install -qq -y --no-install-recommends golang-1.19-go golang-github-modern-go-reflect2-dev \
    dpkg-dev jq make rsync >/dev/null
# shellcheck disable=SC2086 # several options
apt-get $sources update -qq
# Downloaded, not installed: the package would start etcd as a service.
(cd "$work" && apt-get download -qq etcd-server && dpkg-deb -x etcd-server_*.deb etcd)
# shellcheck disable=SC2086
(cd "$work" && apt-get $sources source -qq -o APT::Sandbox::User=root kubernetes >/dev/null)

place=$work/go/src/k8s.io/kubernetes
mkdir -p "$(dirname "$place")"
mv "$work"/kubernetes-*/ "$place"
reflect=vendor/github.com/modern-go/reflect2
rm -rf "${place:?}/$reflect"
cp -r /usr/share/gocode/src/github.com/modern-go/reflect2 "$place/$reflect"
cat >"$work/version" <<VERSION
KUBE_GIT_COMMIT=debian
KUBE_GIT_TREE_STATE=archive
KUBE_GIT_VERSION=v1.20.2
KUBE_GIT_MAJOR=1
KUBE_GIT_MINOR=20
VERSION
# Through its own make, which generates what the source archive leaves out.
if ! (
    cd "$place"
    env PATH="/usr/lib/go-1.19/bin:$PATH" HOME="$work" GOPATH="$work/go" GOCACHE="$work/cache" GO111MODULE=off CGO_ENABLED=0 \
        KUBE_GIT_VERSION_FILE="$work/version" nice -n 10 make WHAT=cmd/kube-apiserver
) >"$folder/build.log" 2>&1; then
    tail -20 "$folder/build.log" >&2
    echo "test-apiserver: the build failed; all of its output is in $folder/build.log" >&2
    exit 1
fi
mv "$work/etcd/usr/bin/etcd" "$folder/etcd"
mv "$place/_output/bin/kube-apiserver" "$folder/kube-apiserver"
