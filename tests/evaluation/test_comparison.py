import math

import numpy as np
import pytest

from jsr.evaluation import comparison


def rows(**scores):
    """Rows of one score, psnr[rgb], from {method: [values]}."""
    return [{"name": f"{index}", "scores": {method: {"psnr[rgb]": value} for method, value in zip(scores, values,
                                                                                                 strict=True)}}
            for index, values in enumerate(zip(*scores.values(), strict=True))]


def test_the_bootstrap_is_that_of_the_normal_distribution_where_that_holds():
    differences = np.random.default_rng(1).normal(0.2, 1, 400)
    low, high, p = comparison.bootstrap(differences)
    half = 1.96 * differences.std() / 20
    assert (low, high) == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.01)
    z = abs(differences.mean()) / (differences.std() / 20)
    assert p == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.3)
    assert (low, high, p) == comparison.bootstrap(differences)


@pytest.mark.parametrize("differences, expected", [
    ([0.5], (-math.inf, math.inf, 1.0)), ([0.5, math.inf], (-math.inf, math.inf, 1.0)),
    ([0.0, 0.0], (0.0, 0.0, 1.0)), ([-1.0, -1.0, -1.0], (-1.0, -1.0, 1 / comparison.DRAWS)),
])
def test_little_to_judge_by(differences, expected):
    assert comparison.bootstrap(differences) == expected


@pytest.mark.parametrize("key, best", [("psnr[rgb]", "a"), ("lpips[alex]", "b")])
def test_the_best_is_the_largest_or_the_least(key, best):
    found = [{"name": row["name"], "scores": {method: {key: its["psnr[rgb]"]} for method, its in row["scores"].items()}}
             for row in rows(a=[3.0, 5.0, 4.0], b=[2.0, 3.0, 4.0])]
    compared = {line["method"]: line for line in comparison.compare(found, ["a", "b"], [key])}
    assert {line["best"] for line in compared.values()} == {best}
    other = compared["b" if best == "a" else "a"]
    assert other["difference"] == (-1 if best == "a" else 1) and other["low"] <= other["difference"] <= other["high"]
    assert compared[best]["difference"] == 0 and compared[best]["p"] == 1
    worst = comparison.worst(found, ["a", "b"], key)
    assert worst[best] == [] and [line["name"] for line in worst[other["method"]]] == ["1", "0"]
    assert worst[other["method"]][0]["behind"] == 2 and worst[other["method"]][0]["than"] == best


def test_equal_images_are_infinite_and_differ_by_nothing():
    line = comparison.compare(rows(a=[math.inf, 40.0], b=[math.inf, 39.0]), ["a", "b"], ["psnr[rgb]"])[1]
    assert line["difference"] == -0.5 and math.isfinite(line["low"])
