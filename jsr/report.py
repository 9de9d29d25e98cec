"""The report of a run: a table, report.json, and a page with crops and error maps beside each other."""

import base64
import html
import json

import numpy as np
from PIL import Image
from rich.markup import escape
from rich.table import Table

from jsr import evaluation, metrics
from jsr.files import atomic_write
from jsr.images import png_bytes

CROP = 128      # side of a shown crop, HR px
ERROR_GAIN = 4  # error maps show this many times the absolute difference


def make_report(upscaler, pairs, *, protocol, recipe, steps, on_image=lambda: None):
    """Evaluates a trained chain beside the challenge's baseline.

    Args:
      upscaler: jsr.inference.upscaler.Upscaler.
      pairs: iterable of (name, lr, hr), uint8.
      protocol: jsr.challenges.Protocol; its keys, crop border and baseline apply.
      recipe: "<track>:<name>".
      steps: updates trained.
      on_image: called after each image.

    Returns:
      (report, strips): report is {recipe, steps, protocol, images: [{name, <baseline>: {key: value}, ours: {...}}],
      mean: {<baseline>, ours}}; strips is {name: uint8 picture}, one row of crops an image.
    """
    rows, strips = [], {}
    for name, lr, hr in pairs:
        shown = {protocol.baseline: evaluation.enlarge(lr, upscaler.scale, protocol.kernel),
                 "ours": upscaler.upscale(lr)}
        rows.append({"name": name, **{who: evaluation.score(name, sr, hr, protocol)
                                      for who, sr in shown.items()}})
        strips[name] = _strip(lr, shown[protocol.baseline], shown["ours"], hr)
        on_image()
    mean = {who: evaluation.mean_scores([row[who] for row in rows]) for who in (protocol.baseline, "ours")}
    return {"recipe": recipe, "steps": steps, "protocol": protocol.name, "images": rows, "mean": mean}, strips


def _strip(lr, baseline, ours, hr):
    """LR, baseline, ours, HR, and the two error maps, where the baseline is worst; uint8 (CROP, 6 CROP, 3)."""
    size = min(CROP, *hr.shape[:2])
    y, x = _worst_place(np.abs(baseline.astype(int) - hr).sum(-1), size)
    nearest = np.asarray(Image.fromarray(lr).resize(hr.shape[1::-1], Image.NEAREST))
    errors = [np.clip(np.abs(sr.astype(int) - hr).mean(-1, keepdims=True) * ERROR_GAIN, 0, 255).repeat(3, -1)
              for sr in (baseline, ours)]
    return np.concatenate([image[y:y + size, x:x + size].astype(np.uint8)
                           for image in (nearest, baseline, ours, hr, *errors)], axis=1)


def _worst_place(error, size):
    """The corner of the size x size window with the largest sum, on a grid of half windows."""
    total = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = error.shape
    places = [(y, x) for y in range(0, height - size + 1, max(size // 2, 1))
              for x in range(0, width - size + 1, max(size // 2, 1))]
    return max(places, key=lambda p: total[p[0] + size, p[1] + size] - total[p[0], p[1] + size]
               - total[p[0] + size, p[1]] + total[p[0], p[1]])


def table(report, protocol):
    """The rich table that a run ends with."""
    shown = Table(title=f"{report['recipe']}: mean of {len(report['images'])} images")
    shown.add_column("")
    for key in protocol.keys:
        shown.add_column(escape(metrics.label(key)), justify="right")
    baseline, ours = (report["mean"][who] for who in (protocol.baseline, "ours"))
    for name, scores in ((f"{protocol.baseline} x{protocol.scale}", baseline), ("ours", ours)):
        shown.add_row(name, *(f"{scores[key]:.4f}" for key in protocol.keys))
    shown.add_row("gain", *(f"{evaluation.gain(ours[key], baseline[key]):+.4f}" for key in protocol.keys))
    return shown


def write(folder, report, strips, *, protocol):
    """Writes folder/report.json and folder/report.html (one file, pictures inside); returns the page's path."""
    with atomic_write(folder / "report.json", "w") as file:
        json.dump(metrics.json_ready(report), file, indent=1)
    with atomic_write(folder / "report.html", "w") as file:
        file.write(_page(report, strips, protocol))
    return folder / "report.html"


def _page(report, strips, protocol):
    head = "".join(f"<th>{metrics.label(key)}</th>" for key in protocol.keys)

    def line(name, scores):
        return f"<tr><td>{html.escape(name)}</td>" + "".join(f"<td>{scores[key]:.4f}</td>" for key in protocol.keys) + "</tr>"

    mean = "".join(line(who, report["mean"][who]) for who in (protocol.baseline, "ours"))
    pictures = "".join(
        f"<h2>{html.escape(row['name'])}</h2><table><tr><th></th>{head}</tr>"
        f"{line(protocol.baseline, row[protocol.baseline])}{line('ours', row['ours'])}</table>"
        "<img alt='crops' src='data:image/png;base64,"
        f"{base64.b64encode(png_bytes(strips[row['name']])).decode()}'>" for row in report["images"])
    return f"""<!doctype html><meta charset="utf-8"><title>{html.escape(report['recipe'])}</title>
<style>body{{font:15px sans-serif;margin:2em;max-width:80em}}td,th{{padding:.2em 1em;text-align:right}}
td:first-child{{text-align:left}}img{{width:100%;image-rendering:pixelated}}</style>
<h1>{html.escape(report['recipe'])}</h1>
<p>{report['steps']} steps, {len(report['images'])} held-out images, {protocol.title}. Means over images:</p>
<table><tr><th></th>{head}</tr>{mean}</table>
<p>Each strip: LR (enlarged), {protocol.baseline}, ours, HR, then {ERROR_GAIN} times the absolute error of
{protocol.baseline} and of ours, at the place where {protocol.baseline} is worst.</p>{pictures}
"""
