#!/bin/bash
# Everything that a machine with a GPU is asked, one bounded step after another:
#
#   native/cuda/window.sh [step]...     from a checkout, or winnow-gpu/app/native/cuda/window.sh from a bundle
#
# Steps, in this order if none is named; each fits a visit of ten minutes:
#   test       parity of every operation with its f64 reference
#   sanitizer  memcheck, racecheck and synccheck over small cases of every operation
#   bench      times of the kernels, the copy bandwidth of the run beside them
#   sdpa       PyTorch's attention on the same shapes, and the ratios (needs the lines of bench)
#   logits     the engine on cuda against cpu: logits of three models within the bound
#   text       the same greedy text
#   hopper     the suite of that name: latency and memory of methods at 8K, 32K and 128K
#
# One JSON line a step (status ok, failed, timeout, skipped, no-driver); what the programs print goes into files under
# OUT (./window). A step that fails does not keep the next from running. Exit code 1 if a step failed or ran out of time;
# without a driver every step says so and the exit code is 0.
#
#   OUT=DIR            where results go
#   WINDOW_SECONDS=N   seconds for all steps together; what is left of them bounds a step too (default: each its own limit)
#   WINDOW_JOBS=N      processes side by side in test and sanitizer (default: cores, at most 12)
#   WINDOW_BIN=DIR     folder of winnow_cuda_test and winnow_cuda_bench (default: build, beside this file)
#   COMPUTE_SANITIZER  path of compute-sanitizer, where it is neither on PATH nor under /usr/local/cuda
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-$PWD/window}
bin=${WINDOW_BIN:-$here/build}
cores=$(nproc 2> /dev/null || echo 2)
jobs=${WINDOW_JOBS:-$((cores < 12 ? cores : 12))}
mkdir -p "$out"
if [ -x "$root/../winnow" ] && [ -x "$root/../node" ]; then
  winnow=("$root/../winnow") node=$root/../node
else
  winnow=(node "$root/scripts/winnow.mjs") node=node
fi
if [ -z "${WINNOW_CUBLASLT:-}" ]; then
  # That of a PyTorch installation, then that of a toolkit.
  WINNOW_CUBLASLT=$({
    python3 -c 'import glob, site, sysconfig
for base in [sysconfig.get_paths()["purelib"], *site.getsitepackages()]:
    print(*sorted(glob.glob(base + "/nvidia/*/lib/libcublasLt.so.1[23]"), reverse=True), sep="\n")'
    ls /usr/local/cuda*/lib64/libcublasLt.so.1[23]
  } 2> /dev/null | grep . | head -n 1) || true
  [ -n "$WINNOW_CUBLASLT" ] && export WINNOW_CUBLASLT
fi

failed=0
started=$SECONDS
begun=$SECONDS
report() { # step, status, detail, file
  local detail
  detail=$(printf '%s' "$3" | tr '\n\t"\\' "  ''" | cut -c1-400)
  case $2 in failed | timeout) failed=1 ;; esac
  echo "{\"step\":\"$1\",\"status\":\"$2\",\"seconds\":$((SECONDS - begun)),\"detail\":\"$detail\",\"file\":\"${4:-}\"}"
}
# Seconds that a step may take: its own limit, or what is left of the whole.
allowed() {
  local left=$((${WINDOW_SECONDS:-100000} - (SECONDS - started)))
  echo $(($1 < left ? $1 : left))
}
bounded() { # limit, command...
  local limit
  limit=$(allowed "$1")
  shift
  [ "$limit" -gt 0 ] || return 124
  timeout -k 5 "$limit" "$@"
}
# What a program with exit code $1 and output $2 came to.
verdict() {
  if grep -q '"status":"no-driver"\|cudaErrorInsufficientDriver\|cudaErrorNoDevice' "$2"; then echo no-driver
  elif [ "$1" = 124 ] || [ "$1" = 137 ]; then echo timeout
  elif [ "$1" != 0 ]; then echo failed
  else echo ok
  fi
}
count() { grep -c -- "$1" "$2" || true; }

step_test() {
  local file=$out/test.jsonl code
  bounded 180 "$bin/winnow_cuda_test" --jobs "$jobs" --timeout 30 > "$file" 2> "$out/test.err"
  code=$?
  # Cases that ran before the time was up are data too.
  grep -hE '"status":"(failed|incorrect)"' "$file" > "$out/test-bad.jsonl" || true
  report test "$(verdict $code "$file")" "$(tail -n 1 "$file"), bad: $(sed 's/.*"op":"\([^"]*\)","case":"\([^"]*\)".*/\1 \2/' "$out/test-bad.jsonl" | head -n 4 | tr '\n' ';')" test.jsonl
}

step_sanitizer() {
  local tool=${COMPUTE_SANITIZER:-} ops op name clean=0 total=0 cases=0 state=ok code bad='' file=$out/sanitizer.txt
  [ -z "$tool" ] && tool=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2> /dev/null | tail -n 1)
  "$bin/winnow_cuda_test" --op none > "$file" 2> "$out/sanitizer.err"
  if [ "$(verdict 0 "$file")" = no-driver ]; then
    report sanitizer no-driver "compute-sanitizer: ${tool:-none}"
    return
  fi
  if [ -z "$tool" ]; then
    report sanitizer skipped "no compute-sanitizer: pip install nvidia-cuda-sanitizer-api, or set COMPUTE_SANITIZER"
    return
  fi
  ops=$("$bin/winnow_cuda_test" --list 2> "$out/sanitizer.err" | sed -n 's/^{"op":"\([^"]*\)".*/\1/p' | sort -u)
  if [ -z "$ops" ]; then
    report sanitizer failed "$bin/winnow_cuda_test names no operations"
    return
  fi
  rm -rf "$out/sanitizer"
  mkdir -p "$out/sanitizer"
  # A process for each operation and tool, so that one that hangs or spoils the device costs itself alone; a tool is
  # through with all operations before the next begins, so that no operation is left without any when the time is up.
  for name in memcheck racecheck synccheck; do
    for op in $ops; do printf '%s %s\n' "$name" "$op"; done
  done | bounded 240 xargs -L 1 -P "$jobs" bash -c '
    timeout -k 5 60 "$0" --tool "$3" --error-exitcode 9 "$1" --op "$4" --small 1024 --per-op 3 --in-process > "$2/$3-$4.txt" 2>&1
    echo $? > "$2/$3-$4.code"' "$tool" "$bin/winnow_cuda_test" "$out/sanitizer" > "$file" 2>&1
  code=$?
  for name in memcheck racecheck synccheck; do
    for op in $ops; do
      total=$((total + 1))
      local text=$out/sanitizer/$name-$op.txt at=$out/sanitizer/$name-$op.code
      if [ ! -f "$at" ]; then bad="$bad $name-$op(not run)"
      elif [ "$(cat "$at")" != 0 ]; then bad="$bad $name-$op($(cat "$at"))"
      elif ! grep -q '"ok":' "$text"; then bad="$bad $name-$op(no case ran)"
      else
        clean=$((clean + 1))
        cases=$((cases + $(count '"status":"ok"' "$text")))
      fi
    done
  done
  if [ "$state" = ok ] && [ -n "$bad" ]; then state=failed; fi
  [ "$state" = failed ] && [ $code = 124 ] && state=timeout
  report sanitizer "$state" "$clean of $total clean, $cases cases;$bad" sanitizer
}

step_bench() {
  local file=$out/bench.jsonl code spoilt
  bounded 240 "$bin/winnow_cuda_bench" > "$file" 2> "$out/bench.err"
  code=$?
  local state
  state=$(verdict $code "$file")
  [ "$state" = ok ] && grep -q '"status":"failed"' "$file" && state=failed
  # Times of operations that gave wrong results do not count.
  spoilt=$(sed -n 's/.*"op":"\([^"]*\)".*/\1/p' "$out/test-bad.jsonl" 2> /dev/null | sort -u | tr '\n' ' ')
  report bench "$state" "$(count '"ms":' "$file") times, $(grep '"name":"copy"' "$file"); of no worth for: ${spoilt:-none}" bench.jsonl
}

step_sdpa() {
  local file=$out/sdpa.jsonl code
  if ! python3 -c 'import torch' 2> "$out/sdpa.err"; then
    report sdpa skipped "no PyTorch for python3"
  elif ! python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2> "$out/sdpa.err"; then
    report sdpa no-driver "PyTorch finds no device"
  elif ! grep -q '"ms":' "$out/bench.jsonl" 2> /dev/null; then
    report sdpa skipped "no lines of bench in $out"
  else
    bounded 180 python3 "$here/bench/sdpa.py" "$out/bench.jsonl" > "$file" 2> "$out/sdpa.err"
    code=$?
    report sdpa "$(verdict $code "$file")" \
      "$(sed -n 's/.*"name": "\([^"]*\)", "solution": "\([^"]*\)".*"ratio": \([0-9.]*\).*/\1 \2 \3/p' "$file" | tr '\n' ';')" sdpa.jsonl
  fi
}

# Both backends do `winnow $2 --model $3 ...`; $1 names the files, which `compare.mjs` then holds against each other.
both() {
  local name=$1 command=$2 model=$3 backend file code state=ok
  shift 3
  for backend in cpu cuda; do
    file=$out/$name-$backend
    bounded 120 "${winnow[@]}" "$command" --backend $backend --model "$model" "$@" ${out_flag:+$out_flag "$file.npy"} --json \
      > "$file.json" 2> "$file.err"
    code=$?
    state=$(verdict $code "$file.err")
    if [ "$state" != ok ]; then
      result="$backend: $(tail -n 1 "$file.err")"
      return_state=$state
      return
    fi
  done
  result=$("$node" "$here/compare.mjs" "$command" "$out/$name-cpu" "$out/$name-cuda" 2>&1) || state=failed
  return_state=$state
}

# The worst state of several, and all that was said.
engine_step() { # step, command, options...
  local step=$1 command=$2 model worst=ok said=''
  shift 2
  for model in ${WINDOW_MODELS:-random:tiny random:smollm2-135m smollm2-135m-instruct}; do
    result='' return_state=ok
    both "$step-${model//[:\/]/-}" "$command" "$model" "$@"
    said="$said $model: $result;"
    # A model that is not here says nothing of the backend.
    if [ "$return_state" = failed ] && grep -q 'ERR_MISSING\|ERR_UNREACHABLE\|ERR_OFFLINE' <<< "$result"; then continue; fi
    case $return_state in
      ok) ;;
      failed) worst=failed ;;
      *) [ $worst = failed ] || worst=$return_state ;;
    esac
  done
  report "$step" $worst "$said" "$step-*"
}
step_logits() {
  local out_flag=--out ids=3 i
  for i in $(seq 199); do ids=$ids,$(((i * i * 7 + i * 13 + 3) % 300)); done
  engine_step logits logits --ids "$ids"
}
step_text() {
  local out_flag=''
  { for _ in $(seq 40); do printf 'The key of the box is 7421. Remember it. '; done; echo 'What is the key?'; } > "$out/prompt.txt"
  engine_step text generate --prompt-file "$out/prompt.txt" --max-new-tokens 24
}

step_hopper() {
  local code
  bounded 480 "${winnow[@]}" run hopper --backend cuda --pass both --out "$out/hopper" --json > "$out/hopper.json" 2> "$out/hopper.err"
  code=$?
  report hopper "$(verdict $code "$out/hopper.err")" "$(count '"prefillMs"' "$out/hopper.json") timings; $(tail -n 1 "$out/hopper.err")" hopper
}

steps='test sanitizer bench sdpa logits text hopper'
for step in "${@:-$steps}"; do
  for one in $step; do
    case " $steps " in
      *" $one "*) ;;
      *) echo "window.sh: no step $one; there are: $steps" >&2 && exit 2 ;;
    esac
  done
done
for step in "${@:-$steps}"; do
  for one in $step; do
    begun=$SECONDS
    if [ "$(allowed 1)" -le 0 ]; then report "$one" timeout "no time left"; else "step_$one"; fi
  done
done
exit $failed
