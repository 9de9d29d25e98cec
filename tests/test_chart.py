"""Charts: curves where the numbers are, as SVG that a browser can read."""

import re
import xml.etree.ElementTree as ElementTree

from jsr import chart

SVG = "{http://www.w3.org/2000/svg}"


def curve(svg):
    """The points of the first curve of a chart, px."""
    (path, *_) = [p for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("fill") == "none"]
    return [tuple(map(float, point.split())) for point in re.split("[ML]", path.get("d"))[1:]]


def test_a_curve_spans_the_chart_and_rises_upwards():
    points = curve(chart.lines("loss < 1", {"a": [(0, 0.0), (10, 5.0), (20, 10.0)]}))
    assert [x for x, _ in points] == [chart.LEFT, (chart.LEFT + chart.WIDTH - chart.RIGHT) / 2,
                                      chart.WIDTH - chart.RIGHT]
    heights = [y for _, y in points]
    assert heights[0] > heights[1] > heights[2] > chart.TOP
    assert abs(heights[0] - 2 * heights[1] + heights[2]) < 0.2


def test_a_logarithmic_scale_makes_decades_equal():
    heights = [y for _, y in curve(chart.lines("loss", {"a": [(0, 1.0), (1, 0.1), (2, 0.01)]}, log=True))]
    assert abs((heights[1] - heights[0]) - (heights[2] - heights[1])) < 0.2


def test_ticks_are_round():
    def ticks(low, high, **scale):
        svg = chart.lines("", {"a": [(0, low), (1, high)]}, **scale)
        texts = ElementTree.fromstring(svg).iter(f"{SVG}text")
        return [node.text for node in texts if node.get("text-anchor") == "end"]

    assert ticks(0.031, 0.08, log=True) == ["0.04", "0.06", "0.08"]
    assert ticks(0.015, 0.8, log=True) == ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]
    assert ticks(1e-6, 1.0, log=True)[:2] == ["1e-06", "1e-05"]
    assert ticks(0.0, 2.0) == ["0", "0.5", "1", "1.5", "2"]


def test_what_is_no_number_is_left_out():
    svg = chart.lines("loss", {"a": [(0, 1.0), (1, None), (2, float("nan")), (3, 0.0), (4, 0.1)]}, log=True)
    assert len(curve(svg)) == 2
    assert chart.lines("loss", {"a": [(0, None)]}) == "" == chart.lines("loss", {})


def test_titles_marks_levels_and_names():
    svg = chart.lines("a < b", {"one": [(0, 1.0), (9, 2.0)], "two": [(0, 3.0)], "none": []}, marks=[(4, "stage 1")],
                      level=0.0)
    texts = [node.text for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"a < b", "stage 1", "one", "two", "0"} <= set(texts)
    constant = chart.lines("flat", {"one": [(5, 1e5)]})
    assert "1.0e+05" in constant
