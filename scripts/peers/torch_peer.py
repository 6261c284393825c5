"""torch and transformers as a peer: dense products, attention, prefill and loading, in the dtype that is asked for."""

import sys

import torch
import transformers
from json_lines import milliseconds, serve

dtypes = {"bf16": torch.bfloat16, "f32": torch.float32}
models = {}
inputs = {}


def versions():
    return {"version": f"torch {torch.__version__}, transformers {transformers.__version__}", "threads": torch.get_num_threads()}


def load(folder, dtype):
    def work():
        return transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtypes[dtype], attn_implementation="sdpa", local_files_only=True
        ).eval()

    ms, models[dtype] = milliseconds(work)
    return {"ms": ms}


@torch.inference_mode()
def prefill(dtype, ids):
    """A whole prompt with its cache and the logits of the last token, as one pass."""
    tokens = torch.tensor([ids])
    ms, _ = milliseconds(lambda: models[dtype](tokens, use_cache=True, logits_to_keep=1))
    return {"ms": ms}


@torch.inference_mode()
def attention(dtype, tokens, query_heads, kv_heads, head_dim, repeats):
    key = ("attention", dtype, tokens, query_heads, kv_heads, head_dim)
    if key not in inputs:
        inputs[key] = [torch.randn(1, heads, tokens, head_dim, dtype=dtypes[dtype]) for heads in (query_heads, kv_heads, kv_heads)]
    q, k, v = inputs[key]
    ms, _ = milliseconds(
        lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True), repeats
    )
    return {"ms": ms}


@torch.inference_mode()
def gemm(dtype, tokens, cols, rows, repeats):
    """x [tokens, cols] by weight [rows, cols], as nn.Linear does it."""
    key = ("gemm", dtype, tokens, cols, rows)
    if key not in inputs:
        inputs[key] = torch.randn(tokens, cols, dtype=dtypes[dtype]), torch.randn(rows, cols, dtype=dtypes[dtype])
    x, weight = inputs[key]
    ms, _ = milliseconds(lambda: torch.nn.functional.linear(x, weight), repeats)
    return {"ms": ms}


transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(int(sys.argv[1]))
serve({"versions": versions, "load": load, "prefill": prefill, "attention": attention, "gemm": gemm})
