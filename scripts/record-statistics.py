"""Records what scipy and statsmodels compute, for core/statistics/recorded.test.ts.

    pip install scipy==1.17.1 statsmodels==0.15.0 && python scripts/record-statistics.py
"""

import json
from pathlib import Path

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import normal_sample_size_one_tail

draw = np.random.default_rng(7)


def rounded(values, places):
    return [round(float(value), places) for value in values]


def of_mcnemar():
    for worse, better in [(11, 1), (0, 6), (5, 5), (3, 9), (120, 90), (1, 0), (700, 800)]:
        p = mcnemar([[10, worse], [better, 10]], exact=True).pvalue
        less = stats.binomtest(worse, worse + better, 0.5, alternative="greater").pvalue
        yield {"worse": worse, "better": better, "p": float(p), "less": float(less)}


def mean_of(values, axis):
    return np.mean(values, axis=axis)


def of_sign_flips():
    for values in [
        [1, -1, 0.5, 0.5, -0.25, 0, 0.75],
        [1 / 3, 2 / 3, -1 / 3, 1, 0, 1 / 3, -2 / 3, 1 / 3],
        rounded(draw.normal(0.1, 0.3, 12), 6),
        rounded(draw.normal(-0.2, 0.3, 9), 6),
    ]:
        exact = {
            side: float(
                stats.permutation_test(
                    (values,), mean_of, permutation_type="samples", n_resamples=np.inf, alternative=side
                ).pvalue
            )
            for side in ["two-sided", "less", "greater"]
        }
        yield {"values": values, "p": exact}


def of_signed_ranks():
    for values in [rounded(draw.normal(0.05, 0.1, n), 6) for n in (6, 10, 15)]:
        yield {
            "values": values,
            "p": float(stats.wilcoxon(values, method="exact").pvalue),
            "greater": float(stats.wilcoxon(values, method="exact", alternative="greater").pvalue),
        }


def rank_sum(a, b, axis):
    ranks = stats.rankdata(np.concatenate([a, b], axis=axis), axis=axis)
    return np.sum(np.take(ranks, np.arange(a.shape[axis]), axis=axis), axis=axis)


def of_mann_whitney():
    pairs = [
        (rounded(draw.normal(10, 1, 5), 4), rounded(draw.normal(11, 1, 6), 4)),
        (rounded(draw.normal(10, 1, 10), 4), rounded(draw.normal(10, 1, 10), 4)),
    ]
    for a, b in pairs:
        found = stats.mannwhitneyu(a, b, method="exact")
        yield {"ours": a, "theirs": b, "u": float(found.statistic), "p": float(found.pvalue), "method": "exact"}
    for a, b in [([1, 2, 2, 3, 5], [2, 3, 4, 4, 6]), ([5, 5, 5, 1], [5, 6, 7, 7, 8])]:
        # Twice the smaller tail of the exact distribution with mid-ranks.
        tails = [
            stats.permutation_test(
                (a, b), rank_sum, permutation_type="independent", n_resamples=np.inf, alternative=side
            ).pvalue
            for side in ["less", "greater"]
        ]
        u = float(stats.mannwhitneyu(a, b).statistic)
        yield {"ours": a, "theirs": b, "u": u, "p": float(min(1, 2 * min(tails))), "method": "exact"}
    for a, b in [
        (rounded(draw.normal(10, 1, 30), 1), rounded(draw.normal(10.4, 1, 25), 1)),
        (rounded(draw.normal(10, 1, 60), 4), rounded(draw.normal(10.4, 1, 50), 4)),
    ]:
        found = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=True)
        yield {"ours": a, "theirs": b, "u": float(found.statistic), "p": float(found.pvalue), "method": "normal"}


def of_holm():
    for values in [[0.01, 0.04, 0.03, 0.005], [0.2], [0.5, 0.02, 0.02, 0.9, 0.001, 0.4]]:
        yield {"p": values, "adjusted": [float(p) for p in multipletests(values, method="holm")[1]]}


def of_power():
    for difference, share in [(0.05, 0.06), (0.1, 0.3), (0.02, 0.1), (0.2, 0.25)]:
        for sides in (1, 2):
            n = normal_sample_size_one_tail(
                difference, 0.8, 0.05 / sides, std_null=share**0.5, std_alternative=(share - difference**2) ** 0.5
            )
            yield {"difference": difference, "meanSquare": share, "sides": sides, "pairs": float(n)}


recorded = {
    "mcnemar": list(of_mcnemar()),
    "signFlips": list(of_sign_flips()),
    "signedRanks": list(of_signed_ranks()),
    "mannWhitney": list(of_mann_whitney()),
    "holm": list(of_holm()),
    "power": list(of_power()),
}
target = Path(__file__).parent.parent / "core/statistics/fixtures/recorded.json"
target.parent.mkdir(exist_ok=True)
target.write_text(json.dumps(recorded, indent=1) + "\n")
