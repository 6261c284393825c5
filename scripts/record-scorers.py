"""Records what the published scoring packages say, for suites/scorers/recorded-scores.test.ts.

    pip install rouge==1.0.1 rouge-score==0.1.2 fuzzywuzzy==0.18.0 pytrec-eval-terrier
    python scripts/record-scorers.py [HELMET]

Without python-Levenshtein, as LongBench's requirements have it: fuzzywuzzy then uses difflib. HELMET: a checkout of princeton-nlp/HELMET
(recorded at 4526dfbdc512), whose own functions then give the values of recorded-helmet.json.
"""

import ast
import json
import random
import re
import string
import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytrec_eval
from fuzzywuzzy import fuzz
from nltk.stem.porter import PorterStemmer
from rouge import Rouge
from rouge_score import rouge_scorer

WORDS = "the a river Stone stone walks, walks under bridge bridge. Light light! and and and of 42 seven's co-op été".split(" ")
CODE = "def f(x): return x + 1 for i in range(n) if value == None: self.cache[key] = value # note 'text' {} () []".split(" ")


def text(draw: random.Random, words: list[str], lines: bool) -> str:
    out = [draw.choice(words) for _ in range(draw.choice([0, 1, 3, 8, 20, 60]))]
    for i in range(len(out)):
        if draw.random() < 0.1:
            out[i] += "."
        if lines and draw.random() < 0.08:
            out[i] += "\n"
    return " ".join(out)


def changed(draw: random.Random, source: str, words: list[str]) -> str:
    parts = source.split(" ")
    for _ in range(draw.choice([0, 1, 4, 10])):
        at = draw.randrange(len(parts) + 1)
        if draw.random() < 0.5 and at < len(parts):
            parts[at] = draw.choice(words)
        else:
            parts.insert(at, draw.choice(words))
    return " ".join(parts)


def rouge_union(prediction: str, reference: str) -> float:
    try:
        return Rouge().get_scores([prediction], [reference], avg=True)["rouge-l"]["f"]
    except Exception:  # as LongBench: whatever goes wrong scores 0
        return 0.0


WORD_STARTS = "hop agree conflat relat sky geo archaeo tr y valen hesit control rate cease yell play spi tann fall ti".split(" ")
ENDINGS = (
    "ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi "
    "icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent sion tion ou ism ate iti ous ive ize e ll ed "
    "ing eed ied ies sses ss s y ly lle"
).split(" ")
IRREGULAR = "skies dying lying tying innings outings cannings news howe proceed exceed succeed achilles yyyy 1990s b2b".split(" ")


def record_stems(folder: Path) -> None:
    stemmer = PorterStemmer()
    words = IRREGULAR + [start + ending for start in WORD_STARTS for ending in ENDINGS]
    stems = {word: stemmer.stem(word) for word in words}
    (folder / "recorded-stems.json").write_text(json.dumps(stems, separators=(",", ":")) + "\n")


INFLECTED = "walk walks walked Walking relate relates relation relational bridge bridges bridged happy happily die dies dying the was has".split(" ")


def record_stemmed(folder: Path) -> None:
    draw = random.Random(5)
    names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    google = rouge_scorer.RougeScorer(names, use_stemmer=True)
    cases = []
    for i in range(30):
        reference, prediction = (text(draw, INFLECTED, lines=i % 2 == 0) for _ in range(2))
        scores = google.score(reference, prediction)
        cases.append([prediction, reference, *(scores[name].fmeasure for name in names)])
    (folder / "recorded-stemmed.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


def functions_of(file: Path, names: set[str], known: dict) -> types.SimpleNamespace:
    """The named functions of a module whose other imports are not wanted here."""
    tree = ast.parse(file.read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    exec(compile(tree, file.name, "exec"), known)
    return types.SimpleNamespace(**known)


def record_helmet(helmet: Path, folder: Path) -> None:
    utils = functions_of(
        helmet / "utils.py",
        {
            "normalize_answer", "remove_citations", "f1_score", "drqa_exact_match_score", "substring_exact_match_score",
            "drqa_metric_max_over_ground_truths", "parse_output", "parse_rankings", "calculate_metrics", "calculate_retrieval_metrics",
        },
        {"re": re, "string": string, "Counter": Counter, "rouge_scorer": rouge_scorer, "pytrec_eval": pytrec_eval},
    )
    alce = functions_of(
        helmet / "eval_alce.py",
        {"compute_str_em", "compute_qampari_f1", "exact_presence"},
        {"np": np, "normalize_answer": utils.normalize_answer},
    )
    draw = random.Random(11)
    answers = ["the river bridge", "42", "Light and stone", "a co-op", "walks"]
    cases = []

    def output(prefix: str, answer: str) -> str:
        before = draw.choice(["", "", "Well. ", "I think\n", f"{prefix} "])
        after = draw.choice(["", ".", "\nQuestion: why?", f"\n{prefix} no", " " + text(draw, WORDS, lines=True)])
        return before + draw.choice(["", prefix + " ", prefix.lower(), prefix.upper() + "  "]) + answer + after

    def best(found: str, references: list[str], prefix: str, metric: str) -> float:
        parsed = utils.parse_output(found, prefix)
        return float(max(utils.calculate_metrics(one, references)[metric] for one in [found, parsed]))

    for _ in range(40):
        references = draw.sample(answers, draw.choice([1, 2]))
        named = draw.choice(answers + references)
        for scorer, prefix, metric in [
            ("json_kv", "corresponding value:", "substring_exact_match"),
            ("rag", "Answer:", "substring_exact_match"),
            ("longqa", "Answer:", "rougeL_f1"),
            ("summary", "Summary:", "rougeLsum_f1"),
        ]:
            found = output(prefix, named)
            cases.append([scorer, found, references, best(found, references, prefix, metric)])
        found = output("label:", named)
        parsed = utils.parse_output(found, "label:")
        cases.append(["icl", found, references, float(utils.calculate_metrics(parsed, references)["exact_match"])])

    for _ in range(40):
        ids = draw.sample(range(1, 30), 14)
        gains = {str(i): draw.choice([0, 0, 1, 2, 3]) for i in ids}
        gains[str(ids[0])] = 2
        listed = draw.sample(ids, draw.choice([0, 1, 5, 12])) + draw.sample(range(1, 40), 2)
        found = draw.choice(["Ranking: ", "", "7 documents: "]) + draw.choice([" > ", ">"]).join(
            draw.choice([f"{i}", f"[ID: {i}]", f"ID{i}"]) for i in listed
        )
        score = utils.calculate_retrieval_metrics({"q": utils.parse_rankings(found)}, {"q": gains}, [10])["NDCG@10"]
        cases.append(["rerank", found, [f"{i} {gain}" for i, gain in gains.items() if gain > 0], score])

    for _ in range(30):
        groups = [draw.sample(answers, draw.choice([1, 2])) for _ in range(draw.choice([1, 3, 7]))]
        named = [draw.choice(answers) + draw.choice(["", " [1]", "[2][3]", "."]) for _ in range(draw.choice([0, 1, 4]))]
        found = draw.choice([", ", ",", "\n"]).join(named) + draw.choice(["", ".", ","])
        cleaned = utils.remove_citations(re.sub(r"\n+", " ", found).replace("<|im_end|>", ""))
        references = ["\t".join(group) for group in groups]
        asqa, _ = alce.compute_str_em([{"output": cleaned, "qa_pairs": [{"short_answers": group} for group in groups]}])
        cases.append(["alce_asqa", found, references, asqa / 100])
        lists = alce.compute_qampari_f1([{"output": cleaned, "answers": groups}])
        cases.append(["alce_qampari", found, references, lists["qampari_rec_top5"] / 100])
    (folder / "recorded-helmet.json").write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n")


def main() -> None:
    draw = random.Random(7)
    google = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=False)
    cases = []
    for i in range(80):
        words = CODE if i % 4 == 3 else WORDS
        reference = text(draw, words, lines=i % 2 == 0)
        prediction = changed(draw, reference, words) if i % 3 else text(draw, words, lines=i % 2 == 0)
        scores = google.score(reference, prediction)
        cases.append(
            {
                "prediction": prediction,
                "reference": reference,
                "rouge": {name: scores[name].fmeasure for name in ["rouge1", "rouge2", "rougeL", "rougeLsum"]},
                "rougeUnion": rouge_union(prediction, reference),
                "fuzz": fuzz.ratio(prediction, reference),
            }
        )
    folder = Path(__file__).parent.parent / "suites" / "scorers"
    record_stems(folder)
    record_stemmed(folder)
    if len(sys.argv) > 1:
        record_helmet(Path(sys.argv[1]), folder)
    out = folder / "recorded-scores.json"
    out.write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{len(cases)} cases in {out.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
