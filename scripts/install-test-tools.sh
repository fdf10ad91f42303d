#!/usr/bin/env bash
# Installs what the tests compare us with: foreign decryption tools (Debian `seccure`; PyPI `seccure`, `cryptography`), the Sigma validator (PyPI `sigma-cli`), curl, openssl,
# and outsiders that check our proofs: Go with golang.org/x/mod (Debian) and `@sigstore/verify` (npm).
# Python packages go into .tools/venv and npm packages into .tools/npm, so nothing of the system's own changes. Says what it did;
# fails if it can't.
set -euo pipefail
cd "$(dirname "$0")/.."

debian=()
command -v curl >/dev/null 2>&1 || debian+=(curl)
command -v openssl >/dev/null 2>&1 || debian+=(openssl)
command -v seccure-decrypt >/dev/null 2>&1 || debian+=(seccure)
command -v python3 >/dev/null 2>&1 || debian+=(python3 python3-venv)
command -v go >/dev/null 2>&1 || debian+=(golang-go)
[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ] || debian+=(golang-golang-x-mod-dev)
command -v npm >/dev/null 2>&1 || debian+=(nodejs npm)
command -v script >/dev/null 2>&1 || debian+=(bsdutils)
command -v asciinema >/dev/null 2>&1 || debian+=(asciinema)
command -v ttyrec >/dev/null 2>&1 || debian+=(ttyrec)
command -v tlog-rec >/dev/null 2>&1 || debian+=(tlog)
command -v sudo >/dev/null 2>&1 || debian+=(sudo)
# The console's tests: a real browser, and letters to draw with.
command -v chromium >/dev/null 2>&1 || debian+=(chromium fonts-dejavu-core)
if [ ${#debian[@]} -gt 0 ]; then
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  echo "test tools: installing from Debian: ${debian[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${debian[@]}" >/dev/null
fi

# tlog-rec notes there who is logged in and gives up where it cannot; containers often have none.
if [ ! -e /run/utmp ]; then
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  echo "test tools: making /run/utmp for tlog-rec"
  $sudo install -m 664 -g utmp /dev/null /run/utmp
fi

venv=.tools/venv
if ! "$venv/bin/python3" -c 'import seccure, cryptography' >/dev/null 2>&1; then
  echo "test tools: installing from PyPI into $venv: seccure cryptography"
  python3 -m venv "$venv"
  "$venv/bin/python3" -m pip install -q seccure==0.5.0 cryptography==50.0.2
fi

if [ ! -x "$venv/bin/sigma" ]; then
  echo "test tools: installing from PyPI into $venv: sigma-cli"
  "$venv/bin/python3" -m pip install -q sigma-cli==3.1.0
fi

npm=.tools/npm
if [ ! -d "$npm/node_modules/@sigstore/verify" ]; then
  echo "test tools: installing from npm into $npm: @sigstore/verify"
  mkdir -p "$npm"
  # The newest that runs on Node 20.
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$npm" @sigstore/verify@3.1.1
fi
echo "test tools: ready"
