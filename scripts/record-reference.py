"""Records what an independent implementation says about the default model, for engine/reference.test.ts.

Independent means: weights read and dequantised by the `gguf` package, the model and its arithmetic by `transformers` in float32,
token ids by the Rust `tokenizers` library. Needs Python 3.10 or later with numpy, torch, transformers, tokenizers and gguf.

    python scripts/record-reference.py MODEL.gguf engine/fixtures
    python scripts/record-reference.py --tiny engine/fixtures      (tiny-models.json alone)
    python scripts/record-reference.py --gemma GEMMA.gguf engine/fixtures      (gemma-3-270m.json)

Writes reference.json (prompts, ids, greedy continuations, top logits), reference-logits.bin.gz (logits of whole rows and of every
16th token) and tiny-models.json (logits of small random models; these are written by engine/tiny-model.ts, so Node is needed too).
Prompts are our own texts: engine/fixtures/prose.txt and what reference_texts.py generates.
"""

import gzip
import hashlib
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from reference_texts import prompts

# A continuation is cut before the first step whose two best logits are closer than this: there, rounding may decide.
SMALLEST_GAP = 0.005
CONTINUATION = 40
SHORTEST_CONTINUATION = 32
TAIL_POSITIONS = 8
TOP = 10
STRIDE = 16
WHOLE_ROWS = ("question", "needle-1k", "prose-3k")
PROSE_POSITIONS = 1024
PROSE_TOP = 16
# Logits are stored as integers in units of 2^-12, so that storing adds at most 1.3e-4.
UNIT = 1 << 12


def load_model(path):
    """The f32 model of a GGUF file, and a Rust tokenizer built from the same metadata."""
    reader = gguf.GGUFReader(path)
    field = lambda name: reader.fields[name].contents()
    config = transformers.LlamaConfig(
        vocab_size=field("llama.vocab_size"),
        hidden_size=field("llama.embedding_length"),
        intermediate_size=field("llama.feed_forward_length"),
        num_hidden_layers=field("llama.block_count"),
        num_attention_heads=field("llama.attention.head_count"),
        num_key_value_heads=field("llama.attention.head_count_kv"),
        max_position_embeddings=field("llama.context_length"),
        rms_norm_eps=field("llama.attention.layer_norm_rms_epsilon"),
        rope_theta=field("llama.rope.freq_base"),
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = transformers.LlamaForCausalLM(config).to(torch.float32).eval()
    assert model.model.rotary_emb.inv_freq[1] == torch.tensor(1 / 100000 ** (2 / 64)), "rope theta did not arrive"
    state = {}
    for tensor in reader.tensors:
        weights = torch.from_numpy(np.array(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))
        state[hugging_face_name(tensor.name)] = rows_in_halves(weights, tensor.name, config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model, load_tokenizer(field)


def hugging_face_name(name):
    fixed = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    if name in fixed:
        return fixed[name]
    _, layer, part, _ = name.split(".")
    parts = {
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    return f"model.layers.{layer}.{parts[part]}.weight"


def rows_in_halves(weights, name, config):
    """GGUF stores the rows of a rotary pair side by side; transformers wants the first of all pairs, then the second."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads is None:
        return weights
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns).contiguous()


def load_tokenizer(field):
    tokens = field("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [tokenizers.pre_tokenizers.Digits(individual_digits=True), tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, field("tokenizer.ggml.token_type")) if kind == 3]
    tokenizer.add_special_tokens(control)
    return tokenizer


@torch.no_grad()
def greedy(model, ids, stops):
    """Continuation, the gap of its closest decision, why it ended, and the logits of the last prompt positions."""
    out = model(torch.tensor([ids]), use_cache=True, logits_to_keep=TAIL_POSITIONS)
    tail = out.logits[0]
    tokens, smallest, finish = [], float("inf"), "length"
    row, cache = tail[-1], out.past_key_values
    while len(tokens) < CONTINUATION:
        best = row.topk(2).values
        gap = float(best[0] - best[1])
        if gap < SMALLEST_GAP:
            break
        smallest = min(smallest, gap)
        token = int(row.argmax())
        if token in stops:
            finish = "stop"
            break
        tokens.append(token)
        step = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True)
        row, cache = step.logits[0, -1], step.past_key_values
    return tokens, smallest, finish, tail.numpy()


def top_of(row, count):
    ids = np.argsort(-row, kind="stable")[:count]
    peak = float(row.max())
    return {
        "logSumExp": round(peak + float(np.log(np.exp(row.astype(np.float64) - peak).sum())), 5),
        "topIds": ids.tolist(),
        "topLogits": [round(float(value), 5) for value in row[ids]],
    }


def record_prompts(model, tokenizer, prose, stops, stored):
    recorded, seed = {}, 0
    while len(recorded) < 15:
        for name, text in prompts(random.Random(seed), prose):
            if name in recorded:
                continue
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            tokens, smallest, finish, tail = greedy(model, ids, stops)
            if len(tokens) < SHORTEST_CONTINUATION and finish != "stop":
                print(f"{name}: seed {seed} has a near tie after {len(tokens)} tokens, trying the next", file=sys.stderr)
                continue
            sampled = store(stored, tail[:, ::STRIDE])
            whole = store(stored, tail[-1:]) if name in WHOLE_ROWS else None
            recorded[name] = {
                "name": name,
                "seed": seed,
                "text": text,
                "ids": ids,
                "continuation": tokens,
                "continuationText": tokenizer.decode(tokens, skip_special_tokens=False),
                "finish": finish,
                "smallestGap": round(smallest, 5),
                "tail": [top_of(row, TOP) for row in tail],
                "sampledLogits": sampled,
                **({"wholeLogits": whole} if whole else {}),
            }
            print(f"{name}: {len(ids)} tokens, {len(tokens)} more, {finish}, gap {smallest:.3f}", file=sys.stderr)
        seed += 1
    return list(recorded.values())


def store(stored, logits):
    """Appends rows of logits; where they lie is told in values, not bytes."""
    at = sum(part.size for part in stored)
    stored.append(np.rint(logits.astype(np.float64) * UNIT).astype("<i4").ravel())
    return {"at": at, "rows": logits.shape[0], "columns": logits.shape[1]}


@torch.no_grad()
def record_prose(model, tokenizer, prose):
    ids = tokenizer.encode(prose, add_special_tokens=False).ids[:PROSE_POSITIONS]
    assert len(ids) == PROSE_POSITIONS, len(ids)
    logits = model(torch.tensor([ids])).logits[0].numpy()
    rows = [top_of(row, PROSE_TOP) for row in logits]
    loss = [row["logSumExp"] - float(logits[index][ids[index + 1]]) for index, row in enumerate(rows[:-1])]
    return {
        "ids": ids,
        "meanLoss": round(float(np.mean(loss)), 5),
        "logSumExp": [row["logSumExp"] for row in rows],
        "topIds": [row["topIds"] for row in rows],
        "topLogits": [row["topLogits"] for row in rows],
    }


LONGROPE = {"kind": "longrope", "shortFactors": [1, 1, 1.1, 1.2, 1.3, 1.5], "longFactors": [1, 1.3, 2, 3, 5, 8], "originalMaxPositions": 64, "attentionFactor": 1.19}
TINY = {
    "grouped": {"queryHeads": 4, "kvHeads": 1, "seed": 11},
    "llama3-untied": {
        "queryHeads": 4,
        "kvHeads": 4,
        "layers": 3,
        "tiedEmbeddings": False,
        "ropeTheta": 500000,
        "ropeScaling": {"kind": "llama3", "factor": 8, "lowFrequencyFactor": 1, "highFrequencyFactor": 4, "originalMaxPositions": 64},
        "seed": 12,
    },
    "linear-wide-head": {"queryHeads": 8, "kvHeads": 2, "headDim": 32, "ropeScaling": {"kind": "linear", "factor": 2.5}, "seed": 13},
    "dynamic": {"kvHeads": 2, "ropeScaling": {"kind": "dynamic", "factor": 2, "originalMaxPositions": 64}, "maxPositions": 128, "seed": 14},
    "mistral": {"kvHeads": 2, "slidingWindow": 24, "tiedEmbeddings": False, "seed": 15},
    "qwen2": {"family": "qwen2", "kvHeads": 2, "tiedEmbeddings": False, "ropeTheta": 1000000, "seed": 16},
    "qwen2-yarn": {
        "family": "qwen2",
        "kvHeads": 2,
        "headDim": 32,
        "hiddenSize": 128,
        "ropeScaling": {"kind": "yarn", "factor": 4, "originalMaxPositions": 64, "attentionFactor": 1.1386294361119891, "betaFast": 32, "betaSlow": 1, "truncate": True},
        "maxPositions": 256,
        "seed": 17,
    },
    "qwen3": {"family": "qwen3", "kvHeads": 2, "headDim": 32, "layers": 3, "ropeTheta": 1000000, "seed": 18},
    "gemma2": {"family": "gemma2", "kvHeads": 2, "headDim": 24, "layers": 4, "slidingWindow": 32, "attentionSoftCap": 2.5, "finalSoftCap": 5.5, "seed": 19},
    "gemma3": {
        "family": "gemma3",
        "kvHeads": 1,
        "headDim": 24,
        "layers": 7,
        "slidingWindow": 32,
        "ropeTheta": 1000000,
        "ropeScaling": {"kind": "linear", "factor": 8},
        "seed": 20,
    },
    "phi3": {"family": "phi3", "kvHeads": 4, "ropeDims": 12, "slidingWindow": 48, "tiedEmbeddings": False, "seed": 21},
    "phi3-longrope": {"family": "phi3", "kvHeads": 2, "ropeDims": 12, "ropeScaling": LONGROPE, "maxPositions": 256, "tiedEmbeddings": False, "seed": 22},
}
TINY_STRIDE = 3
# Fed apart: a context, a question as one step of several tokens, then single tokens, over the original lengths (64) of the scalings.
TINY_CONTEXT, TINY_QUESTION, TINY_END = 50, 8, 72


@torch.no_grad()
def record_tiny(root):
    recorded = []
    columns = lambda row: [round(float(v), 4) for v in row[::TINY_STRIDE]]
    for name, options in TINY.items():
        with tempfile.TemporaryDirectory() as folder:
            script = f"import('{root}/engine/tiny-model.ts').then((m) => m.writeTinyModel('{folder}', {json.dumps({'format': 'safetensors', **options})}))"
            subprocess.run(["node", "--import", "tsx", "-e", script], check=True, cwd=root)
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        rng = random.Random(options["seed"])
        ids = [rng.randrange(model.config.vocab_size) for _ in range(160)]
        tokens = torch.tensor([ids])
        logits = model(tokens).logits[0].numpy()
        positions = [0, 7, 63, 64, 100, 159]
        cache = model(tokens[:, :TINY_CONTEXT], use_cache=True).past_key_values
        start, steps = TINY_CONTEXT, []
        while start < TINY_END:
            end = start + TINY_QUESTION if start == TINY_CONTEXT else start + 1
            out = model(tokens[:, start:end], past_key_values=cache, use_cache=True)
            steps.append(out.logits[0, -1].numpy())
            start = end
        # The first after the question, those round the original length, and the last.
        chosen = [0, 5, 6, 7, len(steps) - 1]
        recorded.append(
            {
                "name": name,
                "options": options,
                "ids": ids,
                "stride": TINY_STRIDE,
                "positions": positions,
                "logits": [columns(logits[p]) for p in positions],
                "decode": {"context": TINY_CONTEXT, "question": TINY_QUESTION, "end": TINY_END, "steps": chosen, "logits": [columns(steps[i]) for i in chosen]},
            }
        )
    return recorded


def main(model_path, folder):
    root = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(folder)
    prose = (root / "engine/fixtures/prose.txt").read_text().strip()
    torch.manual_seed(0)
    model, tokenizer = load_model(model_path)
    stored = []
    recorded = {
        "modelSha256": hashlib.sha256(pathlib.Path(model_path).read_bytes()).hexdigest(),
        "recordedWith": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "gguf": "dequantised to float32"},
        "logitUnit": UNIT,
        "logitStride": STRIDE,
        "prompts": record_prompts(model, tokenizer, prose, {0, 2}, stored),
        "prose": record_prose(model, tokenizer, prose),
    }
    (folder / "reference.json").write_text(json.dumps(recorded, ensure_ascii=False, separators=(",", ":")) + "\n")
    values = np.concatenate(stored)
    # Bytes of equal significance together compress better; mtime 0 keeps the file the same from run to run.
    planes = values.view(np.uint8).reshape(-1, 4).T.tobytes()
    with open(folder / "reference-logits.bin.gz", "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9, mtime=0, filename="") as out:
        out.write(planes)
    write_tiny(root, folder)


GEMMA_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_ffw_norm": "post_feedforward_layernorm",
}
# Beyond the window of the sliding layers (512).
GEMMA_POSITIONS, GEMMA_TAIL = 700, 6


@torch.no_grad()
def write_gemma(path, root, folder):
    """Top logits of Gemma 3 at the end of the prose; ids are SentencePiece's, as record-family-tokenizers.py recorded them."""
    reader = gguf.GGUFReader(path)
    field = lambda name: reader.fields[f"gemma3.{name}"].contents()
    theta = {"full_attention": field("rope.freq_base"), "sliding_attention": 10000.0}
    config = transformers.Gemma3TextConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].contents()),
        hidden_size=field("embedding_length"),
        intermediate_size=field("feed_forward_length"),
        num_hidden_layers=field("block_count"),
        num_attention_heads=field("attention.head_count"),
        num_key_value_heads=field("attention.head_count_kv"),
        head_dim=field("attention.key_length"),
        max_position_embeddings=field("context_length"),
        rms_norm_eps=field("attention.layer_norm_rms_epsilon"),
        sliding_window=field("attention.sliding_window"),
        query_pre_attn_scalar=field("attention.key_length"),
        rope_parameters={kind: {"rope_type": "default", "rope_theta": float(value)} for kind, value in theta.items()},
        attn_implementation="eager",
    )
    model = transformers.Gemma3ForCausalLM(config).to(torch.float32).eval()
    state = {}
    for tensor in reader.tensors:
        weights = torch.from_numpy(np.array(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))
        fixed = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
        name = fixed.get(tensor.name)
        if name is None:
            _, layer, part, _ = tensor.name.split(".")
            name = f"model.layers.{layer}.{GEMMA_PARTS[part]}.weight"
        # GGUF holds the gain itself, transformers gain - 1.
        state[name] = weights - 1 if "norm" in tensor.name else weights
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    prose = (root / "engine/fixtures/prose.txt").read_text()
    cases = json.loads((folder / "tokenizer-family-cases.json").read_text())["gemma-3-270m"]
    ids = [2, *next(case["ids"] for case in cases if case["text"] == prose)][:GEMMA_POSITIONS]
    logits = model(torch.tensor([ids]), logits_to_keep=GEMMA_TAIL).logits[0].numpy()
    recorded = {"modelSha256": hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest(), "ids": ids, "tail": [top_of(row, TOP) for row in logits]}
    (folder / "gemma-3-270m.json").write_text(json.dumps(recorded, separators=(",", ":")) + "\n")


def write_tiny(root, folder):
    lines = ",\n".join(json.dumps(model, separators=(",", ":")) for model in record_tiny(root))
    (folder / "tiny-models.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    if sys.argv[1] == "--tiny":
        write_tiny(pathlib.Path(__file__).resolve().parent.parent, pathlib.Path(sys.argv[2]))
    elif sys.argv[1] == "--gemma":
        write_gemma(sys.argv[2], pathlib.Path(__file__).resolve().parent.parent, pathlib.Path(sys.argv[3]))
    else:
        main(*sys.argv[1:])
