"""Records token ids of the Rust `tokenizers` library, for engine/tokenizer.test.ts.

    python scripts/record-tokenizers.py MODEL.gguf engine/fixtures

Three tokenizers: the default model's own, built from its GGUF metadata; a byte-level one with the pattern of Llama 3; and one with
SentencePiece spaces and byte fallback as in Llama 2 and Mistral. The last two are trained here on engine/fixtures/prose.txt, so that
their tokenizer.json files are small and ours. Needs Python 3.10 or later with tokenizers and gguf.
"""

import json
import pathlib
import random
import sys

import gguf
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from tokenizer_cases import merges_by_score, record

LLAMA3_PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  leading and trailing  ",
    "It's what they'd've done; we'll SEE, I'm sure. IT'S 'quoted'.",
    "0 1 12 123 1234 12345678 3.14159 1,000,000 0x1F 2024-02-29",
    "٣٤٥ ½ ² ① Ⅷ 七 一二三",
    "漢字とかな交じり文。한국어 문장도 있다. 中文，标点！",
    "🙂🙃👩‍👩‍👧‍👦🏳️‍🌈 e\u0301 é ﬁ Å Å",
    "Ünïcödé: ß ẞ İ ı Ω Ω ﷺ",
    "Привет, мир! Γειά σου Κόσμε. שלום עולם مرحبا بالعالم नमस्ते ไทย",
    'def f(x):\n    """Doc."""\n\tif x >= 10:\n\t\treturn {"a": [1, 2], \'b\': None}\n    return x**2  # done\n',
    "a\n\n\nb\r\n\r\nc\td\t\te \n f  \n  g   \n   h",
    "          ten spaces,\u00a0no-break,\u3000ideographic,\u2009thin,\u200bzero,\u0085next line,\ufeffmark",
    "…—–‘’“”«»¿¡§¶†‡•‰€£¥©®™°±×÷≈≠≤≥∞∑√∫",
    "https://example.org/a_b/c-d?e=f&g=%20#h user@example.com C:\\dir\\file.txt",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "<|im_start|>user\nWhat is <|im_end|> for?<|im_end|>\n<|im_start|>assistant\n",
    "\u0000\u0001\u0004\u001b[0m\u007f\u0080\u00ad\u200d\u2028\u2029",
    "𝕳𝖊𝖑𝖑𝖔 𐍈 🂡 \U0001f1e9\U0001f1ea \U000e0041 \U0010ffff",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis camelCaseAndPascalCase snake_case_words",
    "▁ already ▁▁ marked",
]
ALPHABET = "aeiou tnsrh 019.,'\n\tÄß漢字🙂é-_<|>ﬁ½"


def random_texts(count):
    rng = random.Random(7)
    return ["".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 60))) for _ in range(count)]


def from_gguf(path):
    reader = gguf.GGUFReader(path)
    field = lambda name: reader.fields[name].contents()
    tokens = field("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([token for token, kind in zip(tokens, field("tokenizer.ggml.token_type")) if kind == 3])
    return tokenizer


def llama3_like(prose):
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(tokenizers.Regex(LLAMA3_PATTERN), behavior="isolated", invert=False), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([prose, *TEXTS[:12]], trainer)
    return tokenizer


def llama2_like(prose):
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=special + bytes_, show_progress=False)
    # Words are cut for training only, as SentencePiece does; encoding sees whole texts.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    tokenizer.train_from_iterator([prose], trainer)
    trained = json.loads(tokenizer.to_str())
    trained["pre_tokenizer"] = None
    # Byte tokens are part of the vocabulary, not special tokens: text that spells one is plain text.
    trained["added_tokens"] = [token for token in trained["added_tokens"] if token["content"] in special]
    trained["model"]["merges"] = merges_by_score(trained["model"]["vocab"], set(special + bytes_))
    return tokenizers.Tokenizer.from_str(json.dumps(trained))


def main(model_path, folder):
    folder = pathlib.Path(folder)
    prose = (folder / "prose.txt").read_text()
    texts = TEXTS + random_texts(60)
    result = {"recordedWith": {"tokenizers": tokenizers.__version__}, "smollm": record(from_gguf(model_path), [*texts, prose])}
    for name, tokenizer in {"llama-bpe": llama3_like(prose), "llama": llama2_like(prose)}.items():
        result[name] = record(tokenizer, texts)
        (folder / f"tokenizer-{name}.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    (folder / "tokenizer-cases.json").write_text(json.dumps(result, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
