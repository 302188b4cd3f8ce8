#!/bin/sh
# Copy the browser libraries that package-lock.json names to api/static/vendor, and pack the pages' own scripts.
# Node comes from the machine, or from a Python package inside .venv.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
MIN_NODE=18
target=api/static/vendor

want=$(cat package.json package-lock.json setup/copy-assets.mjs | sha256sum | cut -c 1-24)
sources=$(find api/static setup/pack-pages.mjs -path api/static/vendor -prune -o -type f -print | LC_ALL=C sort | xargs cat |
    sha256sum | cut -c 1-24)
copied() { [ "$(cat "$target/.stamp" 2>/dev/null || true)" = "$want" ]; }
packed() { [ "$(cat "$target/packed/.sources" 2>/dev/null || true)" = "$sources" ]; }
if copied && packed; then exit 0; fi

mkdir -p .wangge
if command -v flock >/dev/null 2>&1; then
    exec 9>>.wangge/setup.lock
    flock 9
fi

pack() {
    if PATH="$PATH:$PWD/.venv/bin" node setup/pack-pages.mjs; then
        echo "$sources" >"$target/packed/.sources"
    else
        echo "The pages could not be packed: they load their scripts one by one." >&2
    fi
}

if copied; then # a machine that was installed without a network has no packer, and needs none
    if [ -d node_modules/esbuild ]; then pack; fi
    exit 0
fi

good_node() {
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
        node -e "process.exit(Number(process.versions.node.split('.')[0]) < $MIN_NODE ? 1 : 0)" 2>/dev/null
}

if ! good_node; then
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
    if ! good_node; then
        echo "Node.js $MIN_NODE with npm is not on this machine: taking it from the Python package."
        .venv/bin/python setup/install.py requirements-node.lock
    fi
fi

echo "Copying the browser libraries."
if ! npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >.wangge/assets.log 2>&1; then
    tail -n 12 .wangge/assets.log >&2
    echo "The browser libraries could not be fetched; npm's words are above." >&2
    echo "Is there a network, or a mirror in npm's own configuration? Then run the same command again." >&2
    exit 1
fi
node setup/copy-assets.mjs
mkdir -p "$target"
pack
echo "$want" >"$target/.stamp"
