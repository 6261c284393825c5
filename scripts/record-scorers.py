"""Records what the published scoring packages say, for suites/scorers/recorded-scores.test.ts.

    pip install rouge==1.0.1 rouge-score==0.1.2 fuzzywuzzy==0.18.0 && python scripts/record-scorers.py

Without python-Levenshtein, as LongBench's requirements have it: fuzzywuzzy then uses difflib.
"""

import json
import random
import sys
from pathlib import Path

from fuzzywuzzy import fuzz
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
    out = Path(__file__).parent.parent / "suites" / "scorers" / "recorded-scores.json"
    out.write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{len(cases)} cases in {out.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
