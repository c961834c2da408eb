#!/usr/bin/env bash
# Checks the ops and models on a machine with an NVIDIA GPU, torch and nvcc; no network
# is needed. docs/gpu.md explains the stages.
#
#   tools/gpu_check.sh [--out DIR] [build|test|bench|models|sanitize ...]
#   tools/gpu_check.sh --dry-run       walks all stages at small sizes, on the CPU
#
# PYTHON names the interpreter (default python3); OUT the folder for results, if --out
# does not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" -m benchmarks.gpu_check "$@"
