"""The report of a run: a table, report.json, and a page with its curves, and crops and error maps side by side."""

import base64
import glob
import html
import io
import json

import numpy as np
from PIL import Image
from rich.table import Table

from jsr import challenges, chart, crops, degradations, distributed, evaluation, metrics, page
from jsr.degradations.enlarge import enlarge
from jsr.errors import UserError
from jsr.files import atomic_write, from_json
from jsr.images import png_bytes, read_rgb
from jsr.metrics.scores import gain_text
from jsr.training import insight

_OF_CLIPS = (", in the frame in the middle; below it the crop's middle row in every frame, one below the other, where "
             "what flickers is ragged")
FILM = 8        # pictures of a crop over a run at most


def make_report(upscaler, pairs, *, protocol, recipe, steps, members=(), on_image=lambda: None):
    """Evaluates a trained chain beside the challenge's baseline.

    Args:
      upscaler: jsr.inference.upscaler.Upscaler.
      pairs: iterable of (name, lr, hr, made), see `jsr.data.validation.eval_pairs`; of several processes each has its
        own, and the first makes the report of all.
      protocol: jsr.challenges.Protocol; its keys, crop border and baseline apply.
      recipe: "<track>:<name>", and which part of it.
      steps: updates trained.
      members: rows of an ensemble's members, as jsr.training.members.join gives them.
      on_image: called after each image.

    Returns:
      None in other processes than the first. (report, strips): report is {recipe, steps, protocol, scale, codecs:
      those of the LR images, other_codecs: why the scores do not belong beside published ones, images: [{name,
      <baseline>: {key: value}, ours: {...}}], mean: {<baseline>, ours}} and, of an ensemble, members; strips is
      {name: uint8 picture}, one row of crops an image. Of clips an image is a clip, its scores the means over its
      frames, and it also has frames: {<baseline>, ours: [{key: value}]}, those of every frame.

    Raises:
      UserError: LR images by several codecs, or members that were scored on those of others.
    """
    rows, strips, records = [], {}, {}
    for row, png, made in distributed.merged(_rated(upscaler, pairs, protocol, on_image)):
        rows.append(row)
        strips[row["name"]] = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
        records[row["name"]] = made
    if not distributed.is_first():
        return None
    if not rows:
        raise UserError("no image to evaluate on can be read")
    mean = {who: evaluation.mean_scores([row[who] for row in rows]) for who in (protocol.baseline, "ours")}
    codecs = evaluation.same_codecs(records)
    for row in members:
        if degradations.codec_kinds(row["codecs"]) != degradations.codec_kinds(codecs):
            raise UserError(f"{row['name']}: was scored on LR images by {row['codecs'] or 'unknown codecs'}, the "
                            f"ensemble on LR images by {codecs or 'unknown codecs'}, and such scores share no table; "
                            "evaluate the ensemble on the machine of its members")
    other = degradations.other_codecs(made, protocol.name)
    return {"recipe": recipe, "steps": steps, "protocol": protocol.name, "scale": upscaler.scale, "codecs": codecs,
            "other_codecs": other, "images": rows, "mean": mean,
            **({"members": list(members)} if members else {})}, strips


def _rated(upscaler, pairs, protocol, on_image):
    """Yields (row of scores, strip of crops as a PNG in base64, what made the LR image) of every pair."""
    for name, lr, hr, made in pairs:
        shown = {protocol.baseline: enlarge(lr, upscaler.scale, protocol.kernel),
                 "ours": upscaler.told(degradations.jpeg_quality(made)).upscale(lr)}
        strip = crops.strip(lr, shown[protocol.baseline], shown["ours"], hr)
        yield {"name": name, **_scores(name, shown, hr, protocol)}, base64.b64encode(png_bytes(strip)).decode(), made
        on_image()


def _scores(name, shown, hr, protocol):
    """The scores of {who: SR image or clip}."""
    if not protocol.video:
        return {who: evaluation.score(name, sr, hr, protocol) for who, sr in shown.items()}
    frames = {who: evaluation.frame_scores(name, sr, hr, protocol) for who, sr in shown.items()}
    return {**{who: metrics.clip_scores(rows, protocol.keys) for who, rows in frames.items()}, "frames": frames}


def table(report, protocol):
    """The rich table that a run ends with."""
    shown = Table(title=f"{report['recipe']}: mean of {len(report['images'])} {_kind(protocol)}{_by(report)}")
    shown.add_column("")
    for key in protocol.keys:
        shown.add_column(metrics.label(key), justify="right")
    baseline, ours = (report["mean"][who] for who in (protocol.baseline, "ours"))
    members = report.get("members", ())
    rows = [(f"{protocol.baseline} x{report['scale']}", baseline), *((row["name"], row["mean"]) for row in members),
            (f"ours, {len(members)} members" if members else "ours", ours)]
    for name, scores in rows:
        shown.add_row(name, *(f"{scores[key]:.4f}" for key in protocol.keys))
    shown.add_row("gain", *(gain_text(ours[key], baseline[key]) for key in protocol.keys))
    return shown


def _kind(protocol):
    return "clips" if protocol.video else "images"


def _stopped(report):
    """The page's sentence on a run that ended before its recipe's last step; "" of others."""
    return f" (stopped {html.escape(report['stopped'])})" if "stopped" in report else ""


def _by(report):
    return f", LR by {report['codecs']}" if report["codecs"] else ""


def write(folder, report, strips, *, protocol):
    """Writes folder/report.json and folder/report.html; returns the page's path.

    The page is one file, pictures inside. It shows what the run left in the folder: metrics.jsonl as curves and a table
    of times, the pictures of the validations as a film, the published figures of config.json's entry, fingerprint.json.
    """
    with atomic_write(folder / "report.json", "w") as file:
        json.dump(metrics.json_ready(report), file, indent=1)
    with atomic_write(folder / "report.html", "w") as file:
        file.write(_page(report, strips, protocol, folder))
    return folder / "report.html"


def curves(rows, stages, baseline, final=()):
    """SVG charts of a run's log.

    Args:
      rows: rows of metrics.jsonl (jsr.training.insight.log_rows).
      stages: the numbers of steps of the run's stages.
      baseline: what validations compare with, "bicubic".
      final: a last point (step, dB) of the gain, () for none.

    Returns:
      [<svg>], those for which there is something to show.
    """
    def of(kind, *names):
        chosen = [row for row in rows if row["kind"] == kind]
        return {name: [(row["step"], row[name]) for row in chosen if name in row] for name in names}

    ends = np.cumsum([0, *stages])[:-1].tolist() if len(stages) > 1 else []
    marks = [(step, f"stage {number}") for number, step in enumerate(ends)]
    logged = {name for row in rows for name in row if row["kind"] == "train"}
    networks = sorted(name for name in logged if name.startswith("update_ratio/") and name.count("/") == 1)
    parts = sorted(name for name in logged if name.startswith("loss/"))
    charts = [
        chart.lines(f"gain over {baseline} on the validation images, dB",
                    {"gain": [*of("eval", "gain")["gain"], *([final] if final else [])]}, marks=marks, level=0.0),
        chart.lines("loss", of("train", "loss", *(parts if len(parts) > 1 else ())), log=True, marks=marks),
        chart.lines("norm of the gradient", of("train", "grad_norm"), log=True, marks=marks),
        chart.lines("norm of updates over that of parameters", of("train", *networks), log=True, marks=marks),
        chart.lines("learning rate", of("train", "learning_rate"), marks=marks)]
    return [svg for svg in charts if svg]


def film(folder, name):
    """A run's results for a crop of one validation image: [(step, uint8 picture)], the first, the last, `FILM` at most.

    Args:
      folder: the run's, with pictures/<name>_<step>.png, rows of crops as `jsr.crops.strip` makes them.
      name: name of the image.
    """
    paths = sorted((folder / "pictures").glob(f"{glob.escape(name)}_*.png"))
    kept = sorted({round(place) for place in np.linspace(0, len(paths) - 1, min(FILM, len(paths)))}) if paths else []
    return [(int(paths[place].stem.rpartition("_")[2]), crops.cells(read_rgb(paths[place]))[2]) for place in kept]


def _page(report, strips, protocol, folder):
    head, config = ["", *map(metrics.label, protocol.keys)], _json(folder / "config.json")

    def line(name, scores, address=""):
        name = html.escape(name)
        return [f"<a href={address!r}>{name}</a>" if address else name,
                *(f"{scores[key]:.4f}" for key in protocol.keys)]

    def rows(scores, members=()):
        return [line(protocol.baseline, scores[protocol.baseline]),
                *(line(row["name"], row["mean"], f"{row['name']}/report.html") for row in members),
                line("ours", scores["ours"])]

    pictures = "".join(
        f"<section class='card stack'><h3>{html.escape(row['name'])}</h3>{table_of(head, rows(row))}"
        f"{linked(zip(_captions(protocol), crops.cells(strips[row['name']]), strict=True))}"
        f"{_over_frames(row, protocol)}</section>" for row in report["images"])
    return page.standalone(report["recipe"], f"""<header><h1>{html.escape(report['recipe'])}</h1>
<p class='soft'>{report['steps']:,} steps{_stopped(report)},
{len(report['images'])} held-out {_kind(protocol)}{html.escape(_by(report))}, {protocol.title}.</p></header>
<div class='charts'><section class='card stack'>
<h2>Means over {_kind(protocol)}{", of each over its frames" if protocol.video else ""}</h2>
{table_of(head, rows(report["mean"], report.get("members", ())))}</section>
{_published(config.get("entry", ""), report, protocol)}</div>
{_of_run(report, strips, protocol, folder, config)}
<h2>{_kind(protocol).capitalize()}</h2>
<p>Each is shown where {protocol.baseline} is worst{_OF_CLIPS if protocol.video else ""}. Its crops are zoomed and moved
together: drag, Ctrl and the wheel, or + - 0 and the arrows.</p>
{pictures}""")


def _captions(protocol):
    return ("LR, enlarged", protocol.baseline, "ours", "HR", f"error of {protocol.baseline}, x{crops.ERROR_GAIN}",
            f"error of ours, x{crops.ERROR_GAIN}")


def table_of(head, rows, kind="scores"):
    """A table of texts, as HTML has them.

    Args:
      head: headings of the columns; the names' column is first.
      rows: lists of as many.
      kind: class of the table: "scores" have their numbers at the right, "" its texts at the left.
    """
    def cells(tag, texts):
        return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"

    return (f"<div class='table'><table class='{kind}'><thead>{cells('th', head)}</thead>"
            f"<tbody>{''.join(cells('td', row) for row in rows)}</tbody></table></div>")


def linked(pictures):
    """Pictures of one place beside each other, which are zoomed together: (caption, uint8 (H, W, 3)) of each."""
    figures = "".join(f"<figure><div class='crop'>{image(picture, text)}</div><figcaption>{text}</figcaption></figure>"
                      for text, picture in ((html.escape(text), picture) for text, picture in pictures))
    return f"<div class='linked' aria-label='crops'>{figures}</div>"


def _over_frames(row, protocol):
    """The chart of a clip's score in every frame; "" of an image."""
    if "frames" not in row:
        return ""
    return _chart(chart.lines(f"{metrics.label(protocol.ranking)} of every frame",
                              {who: [(number, scores[protocol.ranking]) for number, scores in enumerate(frames)]
                               for who, frames in row["frames"].items()}))


def _chart(svg):
    return f"<figure class='card chart'>{svg}</figure>"


def _of_run(report, strips, protocol, folder, config):
    """The part of the page about the training: curves, film, times, fingerprint."""
    mark, rows = _json(folder / "fingerprint.json"), insight.log_rows(folder)
    gain = metrics.gain(*(report["mean"][who][protocol.ranking] for who in ("ours", protocol.baseline)))
    final = report["steps"], gain
    alone = rows and not config.get("ensemble", {}).get("self")  # an ensemble's gain is not that of the validations
    charts = curves(rows, [stage["steps"] for stage in config.get("stages", ())], protocol.baseline,
                    final if alone else ())
    parts = [f"<h2>Training</h2><div class='charts'>{''.join(map(_chart, charts))}</div>" if charts else ""]
    scores = dict([*((row["step"], row["gain"]) for row in rows if "gain" in row), final])
    name = report["images"][0]["name"]
    frames = film(folder, name)
    if frames:
        _, baseline, ours, hr, *_ = crops.cells(strips[name])
        shown = [(protocol.baseline, baseline)]
        shown += [(f"step {step:,}" + (f", {scores[step]:+.2f} dB" if step in scores else ""), picture)
                  for step, picture in [*frames, (report["steps"], ours)]]
        shown += [("HR", hr)]
        parts.append(f"<section class='card stack'><h3>{html.escape(name)} over the training</h3>{linked(shown)}"
                     "</section>")
    spent = insight.times(rows)
    if any(spent.values()):
        total = sum(spent.values())
        parts.append("<section class='card stack'><h3>Time</h3>" + table_of(("", "", ""), [
            (insight.PARTS[part], insight.duration(seconds), f"{seconds / total:.0%}")
            for part, seconds in spent.items()]) + "</section>")
    if mark:
        versions = ", ".join(f"{what} {version}" for what, version in mark["versions"].items())
        parts.append(f"<p class='soft small'>Config {mark['config']}, data {mark['data']}, "
                     f"code {mark['revision'] or 'of a release'}, seed {mark['seed']}; {versions}.</p>")
    return "\n".join(parts)


def _published(entry, report, protocol):
    """A table of a paper's figures for an entry beside our scores of the same codecs; "" of a recipe of our own."""
    line = challenges.published(protocol.name, entry)
    if not line:
        return ""
    ours = {} if report["other_codecs"] else report["mean"]["ours"]
    why = f" Ours are not comparable: {html.escape(report['other_codecs'])}." if report["other_codecs"] else ""
    rows = [(html.escape(name), html.escape(text), f"{ours[name]:.4f}" if name in ours else "")
            for name, text in line.items() if text and name != "id"]
    return (f"<section class='card stack'><h2>Published</h2>{table_of(('', 'report', 'ours'), rows, kind='')}"
            f"<p class='soft'>The report's scores are of {html.escape(protocol.test_set)}.{why}</p></section>")


def image(picture, alt):
    """An <img> that holds a uint8 picture; `alt` is its text, as HTML has it."""
    return f"<img alt='{alt}' src='data:image/png;base64,{base64.b64encode(png_bytes(picture)).decode()}'>"


def _json(path):
    if not path.exists():
        return {}
    with from_json(path, "put it back, or remove the run") as found:
        return dict(found)
