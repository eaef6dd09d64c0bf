#!/bin/sh
# Prints the path of a Chromium that runs, for the browser tests; installs one where it may.
#
#   scripts/chromium.sh          look for one, else install one
#   scripts/chromium.sh --find   only look
#
# Looked for, in this order: $FORECOURT_CHROMIUM; chromium, chromium-browser, google-chrome and google-chrome-stable on
# PATH; a browser that Playwright has downloaded. Standard output is the path or nothing, everything else goes to
# standard error. Finding none is no failure of this script: the browser tests then fail and repeat the message.
set -u

say() { echo "chromium.sh: $*" >&2; }

# A candidate counts only if it starts: some systems ship a stub that merely asks for another package.
runs() { [ -n "$1" ] && "$1" --version >/dev/null 2>&1; }

on_path() {
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    path=$(command -v "$name") || continue
    if runs "$path"; then echo "$path"; return 0; fi
  done
  return 1
}

venv_bin=$(dirname "$0")/../.venv/bin

downloaded() {
  [ -x "$venv_bin/python" ] || return 1
  path=$("$venv_bin/python" - 2>/dev/null <<'PY'
from playwright.sync_api import sync_playwright

with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
PY
  ) || return 1
  runs "$path" && echo "$path"
}

apt_install() {
  say "installing Chromium with apt-get"
  $1 env DEBIAN_FRONTEND=noninteractive apt-get update >&2 </dev/null &&
    $1 env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium >&2 </dev/null
}

if [ -n "${FORECOURT_CHROMIUM:-}" ]; then
  if runs "$FORECOURT_CHROMIUM"; then
    echo "$FORECOURT_CHROMIUM"
  else
    say "FORECOURT_CHROMIUM is set to '$FORECOURT_CHROMIUM', which does not run."
    say "Set it to the path of a working Chromium or Chrome, or unset it."
  fi
  exit 0
fi

on_path && exit 0
downloaded && exit 0

if [ "${1:-}" != "--find" ]; then
  if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
      apt_install "" && on_path && exit 0
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
      apt_install "sudo -n" && on_path && exit 0
    fi
  fi
  if [ -x "$venv_bin/playwright" ]; then
    say "downloading Chromium with Playwright"
    timeout 600 "$venv_bin/playwright" install chromium >&2 </dev/null && downloaded && exit 0
  fi
fi

say "No Chromium was found and none could be installed, so the browser tests cannot run."
say "Install Chromium or Chrome, or set FORECOURT_CHROMIUM to the path of one."
exit 0
