#!/usr/bin/env bash
# Puts the Terraform provider together, with the engine that it runs and the bundle that it installs in containers:
#   tools/provider.sh [EXECUTABLE [DIR]]     default: build/release/recoup, build/terraform
# makes DIR/mirror/, a mirror for Terraform and OpenTofu, DIR/cli.tfrc, which tells them to take the provider from there and all
# others from where they usually come from, and DIR/development.tfrc, which takes what `go build` makes without its version or
# checksum being asked for (dev_overrides). Use one so:
#   export TF_CLI_CONFIG_FILE=DIR/cli.tfrc; terraform init && terraform apply
#
# In the provider's directory: the provider; `recoup`, the engine, which runs on an Alpine too (the image that Terraform comes
# in); `bundle/`, where recoup_container looks for what it installs.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
executable=${1:-$root/build/release/recoup}
target=${2:-$root/build/terraform}
mkdir -p "$target"
target=$(cd "$target" && pwd)

command -v go >/dev/null || "$root/tools/packages.sh" test >&2
"$root/tools/bundle.sh" "$executable" "$target" >/dev/null
version=$("$target/recoup/recoup" version | sed -nE 's/^recoup ([^ ]+).*/\1/p')
platform=$(go env GOOS)_$(go env GOARCH)

work=$(mktemp -d "$target/new.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mv "$target/recoup" "$work/bundle"
cp "$work/bundle/recoup" "$work/recoup"
(cd "$root/terraform-provider" && GOTOOLCHAIN=auto CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" \
  -o "$work/terraform-provider-recoup_v$version" .)

# Each of the two looks for providers of the short name "recoup/recoup" under its own registry's name.
rm -rf "$target/mirror"
for registry in registry.terraform.io registry.opentofu.org; do
  package=$target/mirror/$registry/recoup/recoup/$version/$platform
  mkdir -p "${package%/*}"
  cp -al "$work" "$package"
done
cat >"$target/cli.tfrc" <<TFRC
provider_installation {
  filesystem_mirror {
    path    = "$target/mirror"
    include = ["registry.terraform.io/recoup/*", "registry.opentofu.org/recoup/*"]
  }
  direct {
    exclude = ["registry.terraform.io/recoup/*", "registry.opentofu.org/recoup/*"]
  }
}
TFRC
cat >"$target/development.tfrc" <<TFRC
provider_installation {
  dev_overrides {
    "recoup/recoup" = "$target/mirror/registry.terraform.io/recoup/recoup/$version/$platform"
  }
  direct {}
}
TFRC
echo "$target"
