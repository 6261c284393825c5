"""Records token ids for the tokenizers of Qwen, Gemma and Phi-3, for engine/tokenizer-families.test.ts.

    python scripts/record-family-tokenizers.py engine/fixtures [GEMMA.gguf]

Three small tokenizers built as those families build theirs, trained here on engine/fixtures/prose.txt and encoded by the Rust
`tokenizers` library; and the ids that SentencePiece itself gives for the vocabulary of a Gemma GGUF file (kept from the last
recording when none is given). Needs Python 3.10 or later with tokenizers, gguf, sentencepiece and protobuf.
"""

import json
import pathlib
import random
import sys

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizer_cases import merges_by_score, record

QWEN2_PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  leading and trailing  ",
    "It's what they'd've done; we'll SEE, I'm sure.",
    "0 1 12 123 1234 3.14159 1,000,000 2024-02-29 ٣٤٥ ½ Ⅷ",
    "漢字とかな交じり文。한국어 문장도 있다.",
    "🙂🙃👩‍👩‍👧‍👦 e\u0301 é \ufb01 A\u030a \u212b x\u0323\u0307 \u1e0b\u0323 q\u0307\u0323",
    "\u1112\u1161\u11ab\u1100\u1173\u11af \u0928\u093c \u0b92\u0bd7 \u2126 \u0340a",
    "Привет, мир! Γειά σου. שלום مرحبا नमस्ते ไทย",
    'def f(x):\n    """Doc."""\n\tif x >= 10:\n\t\treturn {"a": [1, 2]}\n',
    "a\n\n\nb\r\n\r\nc\td\t\te \n f  \n  g   \n\n\n   h",
    "          ten spaces,\u00a0no-break,\u3000ideographic,\u200bzero,\ufeffmark",
    "<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\n",
    "<bos><start_of_turn>user\nWhat?<end_of_turn>\n<start_of_turn>model\n",
    "<|user|>\nWhat?  <|end|>\n<|assistant|>\n  So</s>  it is<s>  twice",
    "▁ already ▁▁ marked",
    "\u0000\u0001\u001b[0m\u007f\u2028",
]
ALPHABET = "aeiou tnsrh 019.,'\n\tÄß漢字🙂é-_<|>\u0301\u0323\u1161▁"


def random_texts(count):
    rng = random.Random(11)
    return ["".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 50))) for _ in range(count)]


def qwen2_like(prose):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated", invert=False), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=560,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([prose, *TEXTS[2:12]], trainer)
    return tokenizer


def pieces_like(prose, special, user_defined, adds_space, strips):
    """SentencePiece pieces with byte fallback, as a conversion to tokenizer.json yields them."""
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    trainer = trainers.BpeTrainer(vocab_size=len(special) + 256 + 220, special_tokens=special + BYTES, show_progress=False)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    # Words are cut for training only, as SentencePiece does; encoding sees whole texts.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    tokenizer.train_from_iterator([prose], trainer)
    built = json.loads(tokenizer.to_str())
    vocabulary = built["model"]["vocab"]
    for text in user_defined:
        vocabulary.setdefault(text, len(vocabulary))
    built["model"]["merges"] = merges_by_score(vocabulary, set(special + BYTES + user_defined))
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prepend = {"type": "Prepend", "prepend": "▁"}
    built["normalizer"] = {"type": "Sequence", "normalizers": [prepend, replace]} if adds_space else replace
    built["pre_tokenizer"] = None if adds_space else {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    steps = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    built["decoder"] = {"type": "Sequence", "decoders": steps + ([{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if adds_space else [])}
    flags = {"single_word": False, "lstrip": False, "normalized": False}
    built["added_tokens"] = [{"id": vocabulary[text], "content": text, "rstrip": text in strips, "special": True, **flags} for text in special] + [
        {"id": vocabulary[text], "content": text, "rstrip": False, "special": False, **flags} for text in user_defined
    ]
    return tokenizers.Tokenizer.from_str(json.dumps(built))


def record_gemma(path, texts):
    """Ids of SentencePiece, from a model made of the pieces, scores and types that the GGUF file holds."""
    import gguf
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as proto

    reader = gguf.GGUFReader(path)
    field = lambda name: reader.fields[f"tokenizer.ggml.{name}"].contents()
    model = proto.ModelProto()
    for piece, score, kind in zip(field("tokens"), field("scores"), field("token_type")):
        model.pieces.add(piece=piece.replace(" ", "▁") if kind == 4 else piece, score=score, type=2 if piece == "<unk>" else kind)
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    for name in ("unk", "bos", "eos", "pad"):
        setattr(model.trainer_spec, f"{name}_id", {"unk": 3, "bos": 2, "eos": 1, "pad": 0}[name])
        setattr(model.trainer_spec, f"{name}_piece", f"<{name}>")
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    # Control tokens in a text are plain text to SentencePiece, and a mark that stands in the text is a space to it.
    plain = [text for text in texts if "<" not in text and "▁" not in text and "\u0000" not in text]
    return [{"text": text, "ids": processor.encode(text)} for text in plain]


def main(folder, gemma=None):
    folder = pathlib.Path(folder)
    prose = (folder / "prose.txt").read_text()
    texts = TEXTS + random_texts(24)
    built = {
        "qwen2": qwen2_like(prose),
        "gemma": pieces_like(prose, ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"], ["\n", "\n\n", "\n\n\n"], False, []),
        "phi3": pieces_like(
            prose, ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>"], [], True, ["</s>", "<|assistant|>", "<|end|>", "<|user|>"]
        ),
    }
    result = {"recordedWith": {"tokenizers": tokenizers.__version__}}
    for name, tokenizer in built.items():
        result[name] = record(tokenizer, texts)
        (folder / f"tokenizer-{name}.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    out = folder / "tokenizer-family-cases.json"
    if gemma is None:
        result["gemma-3-270m"] = json.loads(out.read_text())["gemma-3-270m"]
    else:
        result["gemma-3-270m"] = record_gemma(gemma, [*texts, prose, "a  b   c    d" + " " * 40 + "e", "x\n" * 3 + "\n" * 40 + "y"])
    out.write_text(json.dumps(result, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
