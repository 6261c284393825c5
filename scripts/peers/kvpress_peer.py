"""kvpress as a peer: several settings of one sample, each through its own text generation pipeline."""

import importlib.metadata
import sys

import kvpress
import torch
import transformers
from json_lines import milliseconds, serve
from kvpress.pipeline import KVPressTextGenerationPipeline

presses = {
    "streaming-llm": kvpress.StreamingLLMPress,
    "snapkv": kvpress.SnapKVPress,
    "tova": kvpress.TOVAPress,
    "knorm": kvpress.KnormPress,
}
state = {}


class Ids:
    """Stands for the tokenizer, since prompts arrive as ids: answers are compared as ids too."""

    def decode(self, ids, skip_special_tokens):
        return " ".join(str(token) for token in ids.tolist())


def versions():
    return {"version": f"kvpress {importlib.metadata.version('kvpress')}", "threads": torch.get_num_threads()}


def load(folder, dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation="sdpa", local_files_only=True
    ).eval()
    # Twelve tokens whatever they are: Winnow is asked for the same.
    model.generation_config.eos_token_id = -1
    # The pipeline's own constructor wants a tokenizer file; its forward pass needs the model only.
    pipeline = KVPressTextGenerationPipeline.__new__(KVPressTextGenerationPipeline)
    pipeline.model = model
    pipeline.tokenizer = Ids()
    state["pipeline"] = pipeline
    return {}


@torch.inference_mode()
def matrix(context_ids, question_ids, settings, new_tokens):
    """settings: (method, fraction kept) or None for dense; prefill, compression and greedy answer of each, one after the other."""
    inputs = {"context_ids": torch.tensor([context_ids]), "questions_ids": [torch.tensor([question_ids])]}

    def work():
        answers = []
        for setting in settings:
            press = None if setting is None else presses[setting[0]](compression_ratio=1 - setting[1])
            answers += state["pipeline"]._forward(inputs, max_new_tokens=new_tokens, press=press)
        return answers

    ms, answers = milliseconds(work)
    return {"ms": ms, "answers": [[int(token) for token in answer.split()] for answer in answers]}


transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(int(sys.argv[1]))
serve({"versions": versions, "load": load, "matrix": matrix})
