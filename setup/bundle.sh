#!/bin/sh
# Make one archive for each architecture that installs and runs without any network:
# dist/wangge-VERSION-ARCH.tar.gz with wheels, browser libraries, Debian packages, sources, install.sh.
#   ARCHES="amd64 arm64"   default: this machine's     PYTHONS="3.11 3.12"   default: this machine's
#   DEBS=no                without Debian packages
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
here=$(pwd -P)
PYTHONS=${PYTHONS:-$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')}
DEBS=${DEBS:-yes}
COMMIT=${COMMIT:-HEAD}

this_arch() {
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
    esac
}
ARCHES=${ARCHES:-$(this_arch)}

if ! commit=$(git rev-parse --short "$COMMIT^{commit}" 2>/dev/null); then
    echo "A bundle is made from a git checkout, and this folder is none." >&2
    exit 3
fi
version=$(git show "$COMMIT:pyproject.toml" | sed -n 's/^version = "\(.*\)"/\1/p')
[ -z "$(git status --porcelain --untracked-files=no)" ] ||
    echo "Changes that are not committed are not in the bundle: it holds $commit."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

apt_for() { # apt-get of another machine: its own state, nothing installed, nothing of this one touched
    arch=$1
    shift
    state=$work/apt-$arch
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/log"
    : >>"$state/status"
    apt-get -q -o APT::Architecture="$arch" -o APT::Architectures::="$arch" \
        -o Dir::State="$state" -o Dir::State::lists="$state/lists" \
        -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Log="$state/log" -o APT::Sandbox::User="$(id -un)" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=1 "$@"
}

debian_packages() { # all that the program needs of Debian, down to the C library
    arch=$1
    into=$2
    apt_for "$arch" update >"$work/apt.log" 2>&1 || { tail -n 5 "$work/apt.log" >&2; return 1; }
    newest=$(apt-cache search --names-only '^postgresql-[0-9]+-postgis-3$' | cut -d ' ' -f 1 |
        sort -V | tail -n 1)
    if ! apt_for "$arch" install -y --download-only --no-install-recommends \
        "$newest" bubblewrap python3 python3-venv make tzdata ca-certificates >"$work/apt.log" 2>&1; then
        tail -n 12 "$work/apt.log" >&2
        return 1
    fi
    mkdir -p "$into"
    mv "$work/apt-$arch/cache/archives/"*.deb "$into/"
    for deb in "$into"/*.deb; do # the index of a repository in this folder
        dpkg-deb --field "$deb" | sed '/^$/d'
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "${deb##*/}" "$(stat -c %s "$deb")" \
            "$(sha256sum "$deb" | cut -d ' ' -f 1)"
    done >"$into/Packages"
    for deb in "$into"/*.deb; do
        dpkg-deb --show --showformat '${Package} ${Version} ${Architecture}\n' "$deb"
    done | sort >"$into/LIST"
    echo "Debian packages for $arch: $(wc -l <"$into/LIST"), with all they depend on."
}

for arch in $ARCHES; do
    name=wangge-$version-$arch
    bundle=$work/$name
    mkdir -p "$bundle"
    for python in $PYTHONS; do
        .venv/bin/python setup/wheels.py requirements.lock "$bundle/wheels" \
            --arch "$arch" --python "$python"
    done
    if [ "$DEBS" = yes ]; then
        debian_packages "$arch" "$bundle/debian"
    fi
    git archive --format=tar --prefix=wangge/ "$commit" | gzip -n >"$bundle/source.tar.gz"
    tar -C api/static -cf - vendor | gzip -n >"$bundle/browser.tar.gz"
    cp setup/install.sh "$bundle/install.sh"
    {
        echo "version=$version"
        echo "commit=$commit"
        echo "arch=$arch"
        echo "pythons='$PYTHONS'"
        echo "release='$(. /etc/os-release && echo "$ID ${VERSION_CODENAME:-}")'"
    } >"$bundle/about"
    (cd "$bundle" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum >"$work/sums")
    mv "$work/sums" "$bundle/SHA256SUMS"
    mkdir -p dist
    tar -C "$work" --owner=0 --group=0 --sort=name -cf - "$name" | gzip -1 -n >"dist/.$name.tar.gz"
    mv "dist/.$name.tar.gz" "dist/$name.tar.gz"
    (cd dist && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
    rm -rf "$bundle"
    echo "dist/$name.tar.gz: $(du -m "$here/dist/$name.tar.gz" | cut -f 1) MB"
done
