"""Records log-probabilities that an independent implementation gives, for engine/log-probabilities.test.ts.

The model and its arithmetic by `transformers` in float32 (see record-reference.py, which is used for loading), softmax by torch.

    python scripts/record-log-probabilities.py MODEL.gguf engine/fixtures

Writes log-probabilities.json: continuations of prompts with the log-probability of each token, and the negative log-likelihood of every
token of a text in overlapping windows.
"""

import importlib.util
import json
import pathlib
import sys

import torch

CASES = (
    (
        "The capital of France is",
        [" Paris.", " Berlin.", " a city that I have never seen, but would like to see one day.", " Par"],
    ),
    ("Question: How many legs does a spider have?\nAnswer:", [" 8", " 6", " Eight legs\n", "\n"]),
    ("def add(a, b):\n    return", [" a + b", " a - b", " sum([a, b])"]),
)
TEXT_TOKENS = 300
WINDOWS = ((300, 150), (128, 64), (96, 95))


def recorder():
    path = pathlib.Path(__file__).with_name("record-reference.py")
    spec = importlib.util.spec_from_file_location("record_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
def log_probabilities(model, ids):
    """Row i: log-probability of ids[i + 1], and whether it is the most likely token."""
    rows = torch.log_softmax(model(torch.tensor([ids])).logits[0, :-1].double(), dim=-1)
    wanted = torch.tensor(ids[1:])
    return rows.gather(1, wanted[:, None])[:, 0].tolist(), (rows.argmax(-1) == wanted).tolist()


def strided(model, ids, window, stride):
    """Every token but the first once; each later window predicts `stride` new tokens and sees `window` in all."""
    found, done, end = [], 1, min(window, len(ids))
    while True:
        start = max(0, end - window)
        values, _ = log_probabilities(model, ids[start:end])
        found += [-value for value in values[done - 1 - start :]]
        if end == len(ids):
            return found
        done, end = end, min(len(ids), end + stride)


def main():
    model_path, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    model, tokenizer = recorder().load_model(model_path)
    cases = []
    for prompt, continuations in CASES:
        head = tokenizer.encode(prompt).ids
        scored = []
        for text in continuations:
            tail = tokenizer.encode(text).ids
            values, greedy = log_probabilities(model, head + tail)
            scored.append(
                {
                    "text": text,
                    "tokenIds": tail,
                    "logProbabilities": [round(value, 6) for value in values[len(head) - 1 :]],
                    "isGreedy": all(greedy[len(head) - 1 :]),
                }
            )
        cases.append({"prompt": prompt, "promptTokens": len(head), "continuations": scored})
    prose = (folder / "prose.txt").read_text()
    ids = tokenizer.encode(prose).ids[:TEXT_TOKENS]
    text = tokenizer.decode(ids)
    assert prose.startswith(text) and tokenizer.encode(text).ids == ids
    windows = [
        {"window": window, "stride": stride, "nll": [round(value, 5) for value in strided(model, ids, window, stride)]}
        for window, stride in WINDOWS
    ]
    recorded = {"cases": cases, "text": text, "tokens": len(ids), "windows": windows}
    (folder / "log-probabilities.json").write_text(json.dumps(recorded, ensure_ascii=False) + "\n")


main()
