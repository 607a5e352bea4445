#!/bin/sh
# Install what extras of pyproject.toml need into /opt/venv, in the versions of a lock; a step of an image's build.
#
#   environment.sh LOCK EXTRA...      LOCK: cpu, cuda, or serving for the versions of cpu without PyTorch
set -eu
cd "$(dirname "$0")"
name=$1
shift
lock=$name
[ "$name" = serving ] && lock=cpu

# docker/wheels/ of the checkout, in which PyTorch's CPU build is.
place=""
[ "$name" = cpu ] && place="--find-links /wheels"

install() { /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --quiet "$@"; }
python3 -m venv /opt/venv
install "$(grep '^pip==' "locks/$lock.lock")"
/opt/venv/bin/python locks/locks.py requirements "$@" > requirements.txt
# shellcheck disable=SC2086  # two words
install $place --constraint "locks/$lock.lock" --requirement requirements.txt
/opt/venv/bin/python locks/locks.py installed "$lock"

cd /opt/venv/lib/python3*/site-packages
# Tests of the packages, which nothing here runs.
find . -type d -name tests -prune -exec rm -rf {} +
# The page of the design server needs Plotly's JavaScript alone.
find plotly -mindepth 1 -maxdepth 1 ! -name __init__.py ! -name package_data -exec rm -rf {} + 2> /dev/null || true
rm -rf /opt/venv/share/jupyter plotly/package_data/widgetbundle.js
rm -rf torch/test torch/bin/test* torch/bin/*Test torch/bin/protoc*
if [ "$name" != cuda ]; then
    # Nothing is compiled against PyTorch, and ONNX Runtime computes on CPUs without its parts for GPUs.
    rm -rf torch/include
    rm -f onnxruntime/capi/libonnxruntime_providers_cuda.so onnxruntime/capi/libonnxruntime_providers_tensorrt.so
fi
rm -rf /tmp/build
