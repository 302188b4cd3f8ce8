#!/bin/sh
# Make sure that a Chromium and a font with Chinese characters are there, for tests in a real browser.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

have_browser() {
    [ -n "${CHROMIUM:-}" ] && [ -x "$CHROMIUM" ] && return 0
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

have_font() {
    command -v fc-list >/dev/null 2>&1 && [ -n "$(fc-list :lang=zh-cn family 2>/dev/null | head -n 1)" ]
}

drives() { # the program between the tests and the browser starts
    for node in .venv/lib/python*/site-packages/playwright/driver/node; do
        [ ! -x "$node" ] || "$node" --version >/dev/null 2>&1 || return 1
    done
}

missing=
have_browser || missing="$missing chromium"
have_font || missing="$missing fonts-noto-cjk fontconfig"
drives || missing="$missing libatomic1"
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
setup/apt.sh "a browser and Chinese fonts, for the tests of pages" $missing
