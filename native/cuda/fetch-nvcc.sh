#!/bin/bash
# Fetches the CUDA compiler as pinned Python packages into the cache folder (about 300 MB, once) and prints the path of nvcc.
#
#   NVCC=$(native/cuda/fetch-nvcc.sh) native/cuda/check.sh
#
# Needs pip. Fails with one line on stderr when the packages cannot be had; nothing half-fetched is kept.
set -euo pipefail
cache=${WINNOW_CACHE:-$HOME/.cache/winnow}
target=$cache/nvcc-13.0.88
nvcc=$target/nvidia/cu13/bin/nvcc
if [ ! -x "$nvcc" ] || [ ! -x "$(dirname "$nvcc")/nvdisasm" ]; then
  partial=$target.partial.$$
  trap 'rm -rf "$partial"' EXIT
  mkdir -p "$cache"
  if ! python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --target "$partial" \
    nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96 \
    nvidia-cuda-cccl==13.0.85 nvidia-cuda-cuobjdump==13.5.37 nvidia-cuda-nvdisasm==13.5.37 >&2; then
    echo '[ERR_UNREACHABLE] nvcc: expected the CUDA compiler packages from PyPI, got a pip failure. Install a CUDA 13 toolkit and set NVCC.' >&2
    exit 3
  fi
  ln -sfn lib "$partial/nvidia/cu13/lib64"
  rm -rf "$target"
  mv "$partial" "$target"
fi
echo "$nvcc"
