#!/usr/bin/env bash
# Installs what the tests compare us with: foreign decryption tools (Debian `seccure`; PyPI `seccure`, `cryptography`) and curl.
# Python packages go into .tools/venv, so nothing of the system's own Python changes. Says what it did; fails if it can't.
set -euo pipefail
cd "$(dirname "$0")/.."

debian=()
command -v curl >/dev/null 2>&1 || debian+=(curl)
command -v seccure-decrypt >/dev/null 2>&1 || debian+=(seccure)
command -v python3 >/dev/null 2>&1 || debian+=(python3 python3-venv)
if [ ${#debian[@]} -gt 0 ]; then
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  echo "test tools: installing from Debian: ${debian[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${debian[@]}" >/dev/null
fi

venv=.tools/venv
if ! "$venv/bin/python3" -c 'import seccure, cryptography' >/dev/null 2>&1; then
  echo "test tools: installing from PyPI into $venv: seccure cryptography"
  python3 -m venv "$venv"
  "$venv/bin/python3" -m pip install -q seccure==0.5.0 cryptography==50.0.2
fi
echo "test tools: ready"
