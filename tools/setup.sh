#!/usr/bin/env bash
# Makes .venv with everything that `make demo` and `make test` need, and sees to it that off-screen rendering works.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv
if [ "$(id -u)" = 0 ]; then ROOT=""; elif sudo -n true 2>/dev/null; then ROOT="sudo -n"; else ROOT="none"; fi

# Installs Debian or Ubuntu packages if this user may; else says which are needed ($1: what for), and stops.
apt_install() {
  local purpose=$1
  shift
  if [ "$ROOT" = none ] || ! command -v apt-get >/dev/null; then
    echo "$purpose needs system packages that this user may not install. Run" >&2
    echo "    sudo apt-get install --no-install-recommends $*" >&2
    echo "(or your system's equivalents), then the same make command again." >&2
    exit 1
  fi
  echo "Installing $* ($purpose)"
  $ROOT apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $ROOT apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The tested versions of jax and TensorFlow have wheels for these; ensurepip is what Debian leaves out of python3.
find_python() {
  local candidate
  for candidate in python3.11 python3.12 python3; do
    if "$candidate" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
  python=$(find_python) || {
    apt_install "Making a virtual environment" python3 python3-venv
    python=$(find_python) || {
      echo "No Python 3.11 or 3.12 here, and this system's package is another one. Install one (uv python install 3.11, pyenv install 3.11) and put it on PATH." >&2
      exit 1
    }
  }
  "$python" -m venv --clear "$VENV"
fi

echo "Installing into $VENV (4 GB on disk when done, some minutes)"
# PyTorch's ordinary build for Linux brings gigabytes of CUDA along, which a machine without an NVIDIA GPU has no use for.
# Where that index cannot be reached, the ordinary one serves.
if ! command -v nvidia-smi >/dev/null 2>&1; then
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt --retries 0 --timeout 10 \
    --index-url https://download.pytorch.org/whl/cpu torch >/dev/null 2>&1 || true
fi
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,openvla,worlds]'

renders() { "$VENV/bin/python" -c 'import sys; from rldg.doctor import rendering; sys.exit(rendering().status == "fault")'; }
renders || apt_install "Off-screen rendering" libegl1 libgl1
"$VENV/bin/rldg" doctor
