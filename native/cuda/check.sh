#!/bin/bash
# What can be verified of the CUDA kernels without a GPU: they compile, do not spill, keep the instructions they were
# written for, and their index arithmetic is right.
#
#   native/cuda/check.sh [build folder]
#
# Needs nvcc (NVCC, CUDA_HOME or PATH) and cmake; without nvcc it says so and succeeds. cuobjdump (beside nvcc, on PATH
# or in CUOBJDUMP) adds the look at the machine code.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/build}

nvcc=${NVCC:-}
[ -z "$nvcc" ] && [ -n "${CUDA_HOME:-}" ] && [ -x "$CUDA_HOME/bin/nvcc" ] && nvcc=$CUDA_HOME/bin/nvcc
[ -z "$nvcc" ] && nvcc=$(command -v nvcc || true)
if [ -z "$nvcc" ]; then
  echo '{"check":"cuda","status":"skipped","reason":"no nvcc: set NVCC or CUDA_HOME, or put it on PATH"}'
  exit 0
fi
if ! command -v cmake > /dev/null; then
  echo '{"check":"cuda","status":"skipped","reason":"no cmake"}'
  exit 0
fi

failed=0
report() { # name, passed (0 or 1), detail
  local status=failed
  if [ "$2" = 1 ]; then status=ok; else failed=1; fi
  echo "{\"check\":\"$1\",\"status\":\"$status\",\"detail\":\"$3\"}"
}

mkdir -p "$build"
log=$build/check.txt
# The resource report is printed only when a file is compiled, so the kernels it is wanted for are compiled anew.
touch "$here/kernels/prefill_attention.cu" "$here/kernels/prefill_union.cu" "$here/kernels/decode_attention.cu" "$here/kernels/decode_packed.cu" \
  "$here/kernels/linear_wide.cu"
if ! { cmake -S "$here" -B "$build" -DCMAKE_CUDA_COMPILER="$nvcc" && cmake --build "$build" -j "${JOBS:-2}"; } > "$log" 2>&1; then
  tail -n 20 "$log"
  report "the library, the tests and the benchmark build" 0 "see $(basename "$log")"
  exit 1
fi
report "the library, the tests and the benchmark build" 1 ""

# nvcc's resource report prints one line a kernel. None of the attention kernels, which are compiled
# anew here, keeps anything in memory; of the others one may, 8 bytes.
largest=$(sed -n 's/.* \([0-9]*\) bytes spill stores.*/\1/p' "$log" | sort -n | tail -n 1)
spilling=$(grep "bytes spill" "$log" | grep -vc " 0 bytes spill stores" || true)
kernels=$(grep -c "bytes spill" "$log" || true)
report "no kernel spills (one: at most 8 bytes)" \
  "$([ "${largest:-99}" -le 8 ] && [ "$spilling" -le 1 ] && [ "$kernels" -ge 20 ] && echo 1 || echo 0)" \
  "$kernels kernels, $spilling with spills, largest $largest bytes"
# C75xx and C76xx: ptxas serialised a wgmma pipeline or ignored a register request.
warnings=$(grep -cE "\(C7[56][0-9][0-9]\)" "$log" || true)
report "no serialised matrix pipeline" "$([ "$warnings" = 0 ] && echo 1 || echo 0)" "$warnings warnings C75xx, C76xx"

cuobjdump=${CUOBJDUMP:-$(dirname "$nvcc")/cuobjdump}
[ -x "$cuobjdump" ] || cuobjdump=$(command -v cuobjdump || true)
if [ -z "$cuobjdump" ] || { [ ! -x "$(dirname "$cuobjdump")/nvdisasm" ] && ! command -v nvdisasm > /dev/null; }; then
  echo '{"check":"machine code","status":"skipped","reason":"no cuobjdump with nvdisasm"}'
else
  "$cuobjdump" -sass "$build/libwinnow_cuda.so" | awk -f "$here/machine-code.awk" || failed=1
  # Of every kernel, also of those that were not compiled anew: arrays that found no registers lie on the stack.
  stack=$("$cuobjdump" -res-usage "$build/libwinnow_cuda.so" 2> /dev/null | sed -n 's/.*STACK:\([0-9]*\) .*/\1/p' | sort -n | tail -n 1)
  report "no kernel has more than 96 bytes of stack" "$([ "${stack:-999}" -le 96 ] && echo 1 || echo 0)" "largest ${stack:-unknown}"
fi

host=$("$build/winnow_cuda_host_test")
report "host tests" "$([ $? = 0 ] && echo 1 || echo 0)" "$(echo "$host" | grep -c '"status":"ok"') checks ok"
[ $failed = 1 ] && echo "$host" | grep '"failed"'
if [ -x "$build/winnow_cuda_emulated_test" ]; then
  # Cases above 4 MiB are there to fill a GPU; the four multiprocessors of the emulation are full with less.
  emulated=$("$build/winnow_cuda_emulated_test" --jobs "${JOBS:-2}" --timeout 60 --small 4096)
  report "parity of the kernels, emulated" "$([ $? = 0 ] && echo 1 || echo 0)" "$(echo "$emulated" | tail -n 1 | tr -d '"')"
fi
if [ -x "$build/winnow_cuda_protocol_test" ]; then
  protocols=$("$build/winnow_cuda_protocol_test")
  report "pipelines of the Hopper kernels in every order" "$([ $? = 0 ] && echo 1 || echo 0)" "$(grep -c '"status":"ok"' <<< "$protocols") checks ok"
  grep '"failed"' <<< "$protocols" | grep -v summary
fi
# With no driver the device test reports that as data and succeeds; with one it runs.
device=$("$build/winnow_cuda_test" --jobs 4)
report "device tests, or no driver" "$([ $? = 0 ] && echo 1 || echo 0)" "$(echo "$device" | tail -n 1 | tr -d '"')"
# The script for a GPU machine, rehearsed: every step must end by itself and say that there is no driver, or what else it lacks.
if grep -q '"no-driver"' <<< "$device"; then
  rehearsal=$(OUT=$build/window WINDOW_BIN=$build WINDOW_MODELS=random:tiny WINNOW_CUDA_BINARY=$build/winnow_cuda.node "$here/window.sh")
  report "window script without a driver" \
    "$([ $? = 0 ] && [ "$(grep -cE '"status":"(no-driver|skipped)"' <<< "$rehearsal")" = 7 ] && echo 1 || echo 0)" \
    "$(sed 's/.*"step":"\([a-z]*\)","status":"\([a-z-]*\)".*/\1 \2/' <<< "$rehearsal" | tr '\n' ',')"
fi
exit $failed
