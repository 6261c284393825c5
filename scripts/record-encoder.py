"""Records what transformers computes with BERT-like encoders, for engine/encoder.

    python scripts/record-encoder.py MODEL_FOLDER   # of all-MiniLM-L6-v2

Writes engine/encoder/fixtures: tiny random checkpoints of every family and task (float16 weights, a few kilobytes each) with their outputs
in float32, and token ids and sentence vectors of the real model.
Needs torch, transformers and safetensors.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "engine" / "encoder" / "fixtures"

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "pad_token_id": 0,
}
DISTIL_SIZES = {
    "vocab_size": 40,
    "dim": 16,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 24,
    "max_position_embeddings": 24,
    "pad_token_id": 0,
}
ROBERTA_SIZES = {**SIZES, "type_vocab_size": 1, "pad_token_id": 1}

# name: (model type, class, sizes, further configuration)
TINY = {
    "bert": ("bert", AutoModel, SIZES, {}),
    "bert-pairs": ("bert", AutoModelForSequenceClassification, SIZES, {"num_labels": 1, "hidden_act": "gelu_new"}),
    "bert-tokens": ("bert", AutoModelForTokenClassification, SIZES, {"num_labels": 2, "hidden_act": "relu"}),
    "roberta": ("roberta", AutoModel, ROBERTA_SIZES, {}),
    "xlm-roberta-pairs": ("xlm-roberta", AutoModelForSequenceClassification, ROBERTA_SIZES, {"num_labels": 1}),
    "xlm-roberta-tokens": ("xlm-roberta", AutoModelForTokenClassification, ROBERTA_SIZES, {"num_labels": 2}),
    "distilbert": ("distilbert", AutoModel, DISTIL_SIZES, {}),
    "distilbert-pairs": ("distilbert", AutoModelForSequenceClassification, DISTIL_SIZES, {"num_labels": 1}),
    "distilbert-tokens": ("distilbert", AutoModelForTokenClassification, DISTIL_SIZES, {"num_labels": 2}),
}

IDS = [[2, 5, 9, 13, 30, 31, 39, 3], [2, 7, 3], [2, 21, 22, 23, 24, 3]]

TEXTS = [
    "The red key is under the mat.",
    "Wo liegt der rote Schlüssel? Ça va, naïve café — 42 ½!",
    "你好，世界 こんにちは 🙂",
    "unaffable   antidisestablishmentarianism\tfoo_bar\n[SEP] x",
    "",
    "Where is the key?",
    "The harbour master counted twelve boats, and every boat carried a lantern, a rope and a barrel of salted fish. " * 20,
]


def record_tiny() -> list:
    recorded = []
    for seed, (name, (kind, loader, sizes, more)) in enumerate(TINY.items()):
        torch.manual_seed(seed)
        config = AutoConfig.for_model(kind, **sizes, **more)
        model = loader.from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 0.3)
            for key, parameter in model.named_parameters():
                if "LayerNorm.weight" in key or "layer_norm.weight" in key:
                    parameter.add_(1)
        model.half().float()
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.half().contiguous() for k, v in model.state_dict().items() if v.is_floating_point()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        config.architectures = [type(model).__name__]
        (folder / "config.json").write_text(json.dumps(config.to_dict(), indent=1, sort_keys=True) + "\n")

        longest = max(map(len, IDS))
        pad = sizes["pad_token_id"]
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in IDS])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in IDS])
        inputs = {"input_ids": ids, "attention_mask": mask}
        # The second half of each row is a second text, where the family tells texts apart.
        types = torch.tensor([[int(i >= len(row) // 2 and i < len(row)) for i in range(longest)] for row in IDS])
        if sizes.get("type_vocab_size") == 2:
            inputs["token_type_ids"] = types
        with torch.no_grad():
            out = model(**inputs)
        values = out.logits if hasattr(out, "logits") else out.last_hidden_state
        rows = [row[: len(IDS[i])] if values.dim() == 3 else row for i, row in enumerate(values)]
        recorded.append({"name": name, "output": [[round(v, 6) for v in row.flatten().tolist()] for row in rows]})
    return recorded


def record_vectors(path: str) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModel.from_pretrained(path, attn_implementation="eager", dtype=torch.float32).eval()
    limit = json.loads((pathlib.Path(path) / "sentence_bert_config.json").read_text())["max_seq_length"]
    texts = []
    for text in TEXTS:
        inputs = tokenizer(text, truncation=True, max_length=limit, padding=False, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**inputs).last_hidden_state[0]
        # As sentence-transformers: mean over the tokens, then length 1.
        vector = torch.nn.functional.normalize(hidden.mean(0), dim=0)
        texts.append(
            {"text": text, "ids": inputs["input_ids"][0].tolist(), "vector": [round(v, 6) for v in vector.tolist()]}
        )
    return {"model": "all-minilm-l6-v2", "texts": texts}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: record-encoder.py MODEL_FOLDER")
    tiny = {"ids": IDS, "models": record_tiny()}
    (FOLDER / "tiny.json").write_text(json.dumps(tiny) + "\n")
    (FOLDER / "all-minilm-l6-v2.json").write_text(json.dumps(record_vectors(sys.argv[1]), ensure_ascii=False) + "\n")


main()
