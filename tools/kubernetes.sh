#!/usr/bin/env bash
# Builds a real Kubernetes API server and its etcd, which tests start by themselves, finds Velero's resource definitions, and
# prints where they are, for a shell to evaluate:
#   KUBE_APISERVER=…  ETCD=…  VELERO_CRDS=…    the last a directory with v1/bases/*.yaml and v2alpha1/bases/*.yaml
#   KUBELET=…                                  what stands for a node's kubelet: tests/support/kubelet
#
# Both are built from the Go module proxy as dependencies of the module in tests/support/kubernetes, which pins them and what
# they need by hash, into ${RECOUP_TEST_CACHE:-~/.cache/recoup-test}: three minutes of two cores, once. Velero's definitions
# are files of its module. Programs that are named in the environment are taken as they are.
set -euo pipefail
cd "$(dirname "$0")"
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
module=../tests/support/kubernetes
kubernetes=$(sed -nE 's|^.*k8s.io/kubernetes v([0-9.]+).*|\1|p' "$module/go.mod")
etcd=$(sed -nE 's|^.*go.etcd.io/etcd/server/v3 v([0-9.]+).*|\1|p' "$module/go.mod" | head -n 1)
velero=v1.16.2
apiserver_path=${KUBE_APISERVER:-$cache/bin/kube-apiserver-$kubernetes}
etcd_path=${ETCD:-$cache/bin/etcd-$etcd}
kubelet_module=../tests/support/kubelet
kubelet_path=${KUBELET:-$cache/bin/test-kubelet-$(cat "$kubelet_module"/go.* "$kubelet_module"/*.go | sha256sum | head -c 12)}

say() { echo "tools/kubernetes.sh: $*" >&2; }

build() { # PATH PACKAGE [MODULE]: moved to its name only when whole, so that an interrupted build leaves nothing to be run
  local work version=k8s.io/component-base/version
  work=$(mktemp -d "$cache/build.XXXXXX")
  say "building $(basename "$1")"
  if ! (cd "${3:-$module}" && GOTOOLCHAIN=auto GOFLAGS="-buildvcs=false -mod=readonly" CGO_ENABLED=0 go build -p 2 -trimpath \
      -ldflags "-s -w -X $version.gitVersion=v$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=$(cut -d. -f2 <<<"$kubernetes")" \
      -o "$work/program" "$2" >&2); then
    rm -rf "$work"
    say "cannot build $2 with $(go version): it needs Go 1.21 or newer, and the module proxy"
    return 1
  fi
  mv "$work/program" "$1" && rmdir "$work"
}

for program in "${KUBE_APISERVER:-}" "${ETCD:-}" "${KUBELET:-}"; do
  [ -z "$program" ] || [ -x "$program" ] || { say "$program: no such program"; exit 1; }
done
mkdir -p "$cache/bin"
(
  flock 9
  command -v go >/dev/null || ./packages.sh test >&2
  [ -x "$etcd_path" ] || build "$etcd_path" go.etcd.io/etcd/server/v3
  [ -x "$apiserver_path" ] || build "$apiserver_path" k8s.io/kubernetes/cmd/kube-apiserver
  [ -x "$kubelet_path" ] || build "$kubelet_path" . "$kubelet_module"
  if [ ! -d "$cache/velero-crds-$velero" ]; then
    # Its go.mod asks for nothing here: only files are wanted.
    directory=$(cd /tmp && GOFLAGS=-mod=mod go mod download -json "github.com/vmware-tanzu/velero@$velero" | sed -nE 's|^[[:space:]]*"Dir": "(.*)",?$|\1|p')
    [ -d "$directory/config/crd" ] || { say "cannot get Velero $velero from the module proxy"; exit 1; }
    rm -rf "$cache/velero-crds.new"
    mkdir "$cache/velero-crds.new"
    for version in v1 v2alpha1; do
      install -d "$cache/velero-crds.new/$version/bases"
      install -m 644 "$directory/config/crd/$version/bases"/*.yaml "$cache/velero-crds.new/$version/bases"
    done
    mv "$cache/velero-crds.new" "$cache/velero-crds-$velero"
  fi
) 9>"$cache/kubernetes.lock"
printf 'KUBE_APISERVER=%q\nETCD=%q\nVELERO_CRDS=%q\nKUBELET=%q\n' "$apiserver_path" "$etcd_path" "$cache/velero-crds-$velero" "$kubelet_path"
