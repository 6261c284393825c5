"""Time PyTorch's scaled_dot_product_attention backends on the shapes of winnow_cuda_bench.

Prints one JSON line per shape and backend, then one line per shape with the ratio of the best backend's time to
Winnow's, where the lines of winnow_cuda_bench are given (their file as the only argument). Run both in one go on one
machine: times of different runs are not comparable.
"""

import json
import statistics
import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

BACKENDS = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION}
PREFILL = [(128, 32, 8, 16384), (128, 32, 8, 32768), (64, 32, 8, 16384), (256, 16, 8, 16384), (128, 32, 8, 131072)]
DECODE = [(128, 32, 8, 131072), (128, 32, 8, 32768)]


def median_ms(call):
    for _ in range(2):
        call()
    times, spent = [], 0.0
    while len(times) < 5 or (spent < 400 and len(times) < 40):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
        spent += times[-1]
    return statistics.median(times), len(times)


def measure(name, q, k, v, is_causal, flop=0.0, num_bytes=0.0):
    for backend, value in BACKENDS.items():
        line = {"name": name, "solution": f"torch-sdpa-{backend}", "torch": torch.__version__}
        group = q.shape[1] // k.shape[1]
        # A backend that does not take grouped heads gets them expanded beforehand, outside the time.
        for grouped in (True, False):
            try:
                keys, values = (k, v) if grouped else (x.repeat_interleave(group, 1) for x in (k, v))
                with sdpa_kernel(value):
                    ms, repeats = median_ms(
                        lambda: scaled_dot_product_attention(q, keys, values, is_causal=is_causal, enable_gqa=grouped)
                    )
                line |= {"ms": round(ms, 5), "repeats": repeats, "groupedHeads": grouped}
                if flop:
                    line["tflops"] = round(flop / ms * 1e-9, 1)
                if num_bytes:
                    line["gbps"] = round(num_bytes / ms * 1e-6, 1)
                line.pop("detail", None)
                break
            except RuntimeError as error:
                line["detail"] = str(error).splitlines()[0][:160]
        print(json.dumps(line), flush=True)
        yield line


def main():
    lines = []
    for d, heads, kv_heads, tokens in PREFILL:
        q = torch.randn(1, heads, tokens, d, device="cuda", dtype=torch.bfloat16)
        k, v = (torch.randn(1, kv_heads, tokens, d, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        flop = 4.0 * d * heads * (0.5 * tokens * (tokens + 1))
        lines += measure(f"prefill-d{d}-h{heads}/{kv_heads}-{tokens}", q, k, v, True, flop=flop)
    for d, heads, kv_heads, tokens in DECODE:
        q = torch.randn(1, heads, 1, d, device="cuda", dtype=torch.bfloat16)
        k, v = (torch.randn(1, kv_heads, tokens, d, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        lines += measure(f"decode-all-d{d}-h{heads}/{kv_heads}-b1-{tokens}", q, k, v, False,
                         num_bytes=4.0 * kv_heads * tokens * d)
    if len(sys.argv) < 2:
        return
    best = {}
    for line in lines:
        if "ms" in line and line["ms"] < best.get(line["name"], line)["ms"] + 1e-9:
            best[line["name"]] = line
    with open(sys.argv[1], encoding="utf-8") as file:
        for ours in (json.loads(text) for text in file if text.strip()):
            peer = best.get(ours.get("name"))
            if peer and "ms" in ours:
                print(json.dumps({"name": ours["name"], "solution": ours["solution"], "peer": peer["solution"],
                                  "ratio": round(peer["ms"] / ours["ms"], 3)}), flush=True)


if __name__ == "__main__":
    main()
