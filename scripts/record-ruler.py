"""Records samples of RULER's own generators, for suites/sampling/ruler-upstream.test.ts.

    git clone https://github.com/NVIDIA/RULER && git -C RULER checkout c3f5e3b4f87f97e048793bb510a3a6b19a46bf3a
    pip install numpy scipy tqdm && python scripts/record-ruler.py RULER

Upstream's files run as they are, but with the wording and word lists of this project and a tokenizer that splits at white space, so that
what is compared is how samples are drawn. Only hashes and the first sample's sizes are kept. Question answering reads two small sets in the
layouts of SQuAD and HotpotQA, which this script makes: suites/sampling/fixtures.
"""

import hashlib
import json
import random
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
QA = (
    "Answer the question at the end from the following documents. Give only the answer and nothing else.\n\n"
    "{context}\nQuestion: {query}"
)
QA_ANSWER = " Answer:"
FIXTURES = ROOT / "suites" / "sampling" / "fixtures"


def sentence(rng: random.Random) -> str:
    return " ".join(rng.choice(NOUNS) for _ in range(rng.randint(3, 9))).capitalize() + "."


def make_squad() -> None:
    """Five articles of 3 to 14 paragraphs; first characters that UTF-16 sorts otherwise, a paragraph that stands twice, {braces}."""
    rng = random.Random(1)
    articles = []
    for a in range(5):
        paragraphs = []
        for p in range([14, 3, 8, 5, 12][a]):
            answer = f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"
            start = ["", "\uffee ", "\U0001f409 ", "é{x} "][rng.randrange(4)] + sentence(rng) + " "
            told = f"The sign of place {a}.{p} is the {answer}."
            context = start + told + " " + sentence(rng)
            at = context.index(answer, len(start))
            given = {"text": answer, "answer_start": at}
            questions = [
                {"id": f"{a}-{p}", "question": f"What is the sign of place {a}.{p}?", "is_impossible": False, "answers": [given] * rng.randint(1, 3)},
                {"id": f"{a}-{p}-no", "question": "What is not said?", "is_impossible": True, "answers": []},
            ]
            paragraphs.append({"context": context, "qas": rng.sample(questions, rng.randint(1, 2))})
        paragraphs.append({**paragraphs[0], "qas": []})
        articles.append({"title": f"Article_{a}", "paragraphs": paragraphs})
    (FIXTURES / "ruler-squad.json").write_text(json.dumps({"version": "v2.0", "data": articles}, ensure_ascii=False, indent=0) + "\n")


def make_hotpot() -> None:
    """Nine questions with ten paragraphs each, some of which they share; the last with four."""
    rng = random.Random(2)
    titles = [f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {i}".capitalize() for i in range(60)]
    texts = {title: [sentence(rng), " " + sentence(rng), "", " " + sentence(rng)][: rng.randint(1, 4)] for title in titles}
    records = []
    for i in range(9):
        chosen = rng.sample(titles, 10 if i < 8 else 4)
        first, second = rng.sample(chosen, 2)
        answer = texts[second][0].split()[0]
        records.append({
            "_id": str(i), "question": f"Which word of {second} goes with {first}?", "answer": answer, "type": "bridge", "level": "easy",
            "supporting_facts": [[first, 0], [second, 0]], "context": [[title, texts[title]] for title in chosen],
        })
    (FIXTURES / "ruler-hotpotqa.json").write_text(json.dumps(records, ensure_ascii=False, indent=0) + "\n")


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
    source = re.sub(r'"json/(\w+\.json)"', lambda match: repr(str(FIXTURES / f"ruler-{match[1]}")), source)
    source = re.sub(r"with open\(.*english_words\.json.*\n.*\n", "randle_words = PAIRS\nif True:\n", source)
    arguments = ["x", "--save_dir", "/tmp", "--save_name", "x", "--tokenizer_path", "x", "--template", template + answer]
    sys.argv = arguments + ["--num_samples", str(samples)] + options
    scope = {"__name__": "upstream", "__file__": str(folder / file), "PAIRS": PAIRS}
    exec(compile(source, file, "exec"), scope)
    args = scope["args"]
    if task in ("niah", "qa"):
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
    FIXTURES.mkdir(exist_ok=True)
    make_squad()
    make_hotpot()
    for task, length, seed in [
        ("niah_single_1", 4096, 42), ("niah_single_1", 1000, 7), ("niah_multikey_2", 4096, 42), ("niah_multikey_3", 8192, 1),
        ("vt", 4096, 42), ("vt", 1500, 3), ("cwe", 4096, 42), ("cwe", 2000, 5), ("cwe", 16384, 9), ("fwe", 4096, 42), ("fwe", 9000, 2),
        ("qa_1", 300, 42), ("qa_1", 500, 3), ("qa_1", 900, 42), ("qa_1", 4096, 7), ("qa_2", 560, 42), ("qa_2", 700, 5), ("qa_2", 2000, 42),
    ]:
        samples = 9 if task.startswith("qa") else 4
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
        elif task.startswith("qa"):
            options = [*size, "32", "--dataset", "squad" if task == "qa_1" else "hotpotqa"]
            made = run(folder, "qa.py", "qa", QA, QA_ANSWER, options, samples)
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
