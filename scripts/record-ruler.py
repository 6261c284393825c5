"""Records samples of RULER's own generators, for suites/sampling/ruler-upstream.test.ts.

    git clone https://github.com/NVIDIA/RULER && git -C RULER checkout c3f5e3b4f87f97e048793bb510a3a6b19a46bf3a
    pip install numpy scipy tqdm && python scripts/record-ruler.py RULER

Upstream's files run as they are, but with the wording and word lists of this project and a tokenizer that splits at white space, so that
what is compared is how samples are drawn. Only hashes and the first sample's sizes are kept.
"""

import hashlib
import json
import re
import sys
import types
from pathlib import Path

ROOT = Path(__file__).parent.parent


def constant(file: str, name: str) -> str:
    text = (ROOT / file).read_text()
    return re.search(rf"{name}\s*=\s*(?:words\(`|')(.*?)(?:`\)|';)", text, re.S).group(1).strip()


NOUNS = constant("datasets/words.ts", "NOUNS").split()
ADJECTIVES = constant("datasets/words.ts", "ADJECTIVES").split()
NOISE = constant("datasets/noise.ts", "NOISE_LINE")
PAIRS = sorted({f"{a}-{n}" for a in ADJECTIVES for n in NOUNS})

NIAH_ONE = (
    "A secret {type_needle_v} is hidden in the following text. Remember it: you will be asked for it after the text.\n"
    "{context}\nWhat is the secret {type_needle_v} for {query} in the text above?"
)
NIAH_ONE_ANSWER = " The secret {type_needle_v} for {query} in the text above is"
NIAH_MANY = (
    "Some secret {type_needle_v} are hidden in the following text. "
    "Remember them: you will be asked for them after the text.\n"
    "{context}\nWhat are all the secret {type_needle_v} for {query} in the text above?"
)
NIAH_MANY_ANSWER = " The secret {type_needle_v} for {query} in the text above are"
VT = (
    "Follow the chain of variable assignments that is hidden in the following text.\n\n{context}\n"
    "Question: Find all variables that hold the value {query} in the text above."
)
VT_ANSWER = (
    " Answer: By the chain of assignments in the text above, {num_v} variables hold the value {query}, they are:"
)
CWE = (
    "Some words stand more often than others in the following numbered list. Remember those that stand most often.\n"
    "{context}\nQuestion: What are the {num_cw} words that stand most often in the list above?"
)
CWE_ANSWER = " Answer: The {num_cw} words that stand most often in the list are:"
FWE = (
    "Count the invented words of the following text and remember the three that stand most often. Ignore the dots.\n"
    "{context}\nQuestion: Which three invented words stand most often in the text above? Ignore the dots."
)
FWE_ANSWER = " Answer: The three invented words that stand most often in the text above are:"


def stub(name: str, **members: object) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


class Tokenizer:
    def text_to_tokens(self, text: str) -> list[str]:
        return text.split()


def words_of(file: str) -> list[str]:
    return {"nounlist.txt": NOUNS, "adjectivelist.txt": ADJECTIVES, "verblist.txt": []}[file]


def run(folder: Path, file: str, task: str, template: str, answer: str, options: list[str], samples: int) -> list[dict]:
    stub("constants", TASKS={task: {"template": template, "answer_prefix": answer}})
    stub("tokenizer", select_tokenizer=lambda *_: Tokenizer())
    stub("manifest_utils", write_manifest=lambda *_: None)
    stub("nltk.tokenize", sent_tokenize=lambda text: [text])
    stub("nltk", tokenize=sys.modules["nltk.tokenize"])
    stub("wonderwords", random_word=types.SimpleNamespace(_get_words_from_text_file=words_of))
    source = (folder / file).read_text()
    source = source.replace("special magic", "secret")
    source = re.sub(r'"The grass is green\.[^"]*"', repr(NOISE), source)
    source = re.sub(r"with open\(.*english_words\.json.*\n.*\n", "randle_words = PAIRS\nif True:\n", source)
    arguments = ["x", "--save_dir", "/tmp", "--save_name", "x", "--tokenizer_path", "x", "--template", template + answer]
    sys.argv = arguments + ["--num_samples", str(samples)] + options
    scope = {"__name__": "upstream", "__file__": str(folder / file), "PAIRS": PAIRS}
    exec(compile(source, file, "exec"), scope)
    args = scope["args"]
    if task == "niah":
        return scope["generate_samples"](samples, args.max_seq_length, None)
    if task == "variable_tracking":
        make = scope["sys_vartrack_w_noise_random"]
        common = {"num_chains": args.num_chains, "num_hops": args.num_hops}
        example = make(num_samples=1, max_seq_length=500, incremental=5, **common)[0]
        return make(num_samples=samples, max_seq_length=args.max_seq_length, icl_example=example, final_output=True, **common)
    if task == "common_words_extraction":
        return scope["sys_word_pair_random"](samples, args.max_seq_length, None)
    return scope["sys_kwext"](samples, args.max_seq_length, 10)


def main() -> None:
    folder = Path(sys.argv[1]) / "scripts" / "data" / "synthetic"
    niah = "niah.py"
    cases = []
    for task, length, seed in [
        ("niah_single_1", 4096, 42), ("niah_single_1", 1000, 7), ("niah_multikey_2", 4096, 42), ("niah_multikey_3", 8192, 1),
        ("vt", 4096, 42), ("vt", 1500, 3), ("cwe", 4096, 42), ("cwe", 2000, 5), ("cwe", 16384, 9), ("fwe", 4096, 42), ("fwe", 9000, 2),
    ]:
        samples = 4
        size = ["--max_seq_length", str(length), "--random_seed", str(seed), "--tokens_to_generate"]
        if task.startswith("niah"):
            haystack = "noise" if task == "niah_single_1" else "needle"
            kinds = ("uuids", "uuids") if task == "niah_multikey_3" else ("words", "numbers")
            options = [*size, "128", "--type_haystack", haystack, "--type_needle_k", kinds[0], "--type_needle_v", kinds[1]]
            made = run(folder, niah, "niah", NIAH_ONE, NIAH_ONE_ANSWER, options, samples)
        elif task == "vt":
            made = run(folder, "variable_tracking.py", "variable_tracking", VT, VT_ANSWER, [*size, "30"], samples)
        elif task == "cwe":
            made = run(folder, "common_words_extraction.py", "common_words_extraction", CWE, CWE_ANSWER, [*size, "120"], samples)
        else:
            made = run(folder, "freq_words_extraction.py", "freq_words_extraction", FWE, FWE_ANSWER, [*size, "50"], samples)
        cases.append({
            "task": task, "length": length, "seed": seed,
            "words": [sample["length"] for sample in made],
            "sha256": [
                hashlib.sha256(json.dumps([s["input"] + s["answer_prefix"], list(s["outputs"])], ensure_ascii=False).encode()).hexdigest()
                for s in made
            ],
        })
        if len(sys.argv) > 2:
            Path(sys.argv[2], f"{task}-{length}.txt").write_text(made[1]["input"] + made[1]["answer_prefix"])
    out = ROOT / "suites" / "sampling" / "ruler-upstream.json"
    out.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
