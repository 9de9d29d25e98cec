"""`jsr evaluate --sr A B C`: one table of several methods, with differences that may be chance, and worst images."""

import csv
import html
import math

from rich.table import Table

from jsr import crops, evaluation, metrics, page
from jsr.cli import _output
from jsr.errors import UserError
from jsr.evaluation import comparison
from jsr.images import read_rgb

_SHOWN = 8  # of worst images, those that the page shows


def names_of(folders):
    """{name: folder}: a folder's own name where no other has it, else the path; UserError of one gone or twice."""
    for folder in folders:
        if not folder.exists():
            raise UserError(f"{folder}: no such folder")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError(f"--sr {' '.join(map(str, folders))}: one folder is named twice; name each once")
    short = [folder.resolve().name for folder in folders]
    return {name if short.count(name) == 1 else str(folder): folder
            for name, folder in zip(short, folders, strict=True)}


def joined(rows_of, baseline):
    """The images that all methods have.

    Args:
      rows_of: {method: rows of `jsr.evaluation.score_folders.score_pair`}; the first one's may have a baseline.
      baseline: name of the baseline.

    Returns:
      ([{name, hr, cropped, files: {method: path}, scores: {method: {key: value}}}], [method], [a line for every image
      that a method lacks]), the baseline the last of the methods where the rows have one.
    """
    by_name = {method: {(row.get("qp"), row["name"]): row for row in rows} for method, rows in rows_of.items()}
    everywhere = set.intersection(*map(set, by_name.values()))
    lacking = [f"{method}: no score of {name}, which is left out of the comparison" for method, rows in by_name.items()
               for name in sorted({name for other in by_name.values() for _, name in other.keys() - rows.keys()})]
    first = next(iter(by_name))
    found = []
    for key in sorted(everywhere, key=lambda key: key[1]):
        its = {method: rows[key] for method, rows in by_name.items()}
        extra = {baseline: its[first][baseline]} if baseline in its[first] else {}
        found.append({"name": key[1], "hr": its[first]["hr"], "cropped": its[first]["cropped"],
                      "files": {method: row["sr"] for method, row in its.items()},
                      "scores": {method: row["ours"] for method, row in its.items()} | extra})
    return found, [*by_name, *({baseline} if found and baseline in found[0]["scores"] else ())], lacking


def report_of(rows, methods, folders, problems, *, protocol, keys, crop_border, weights, made):
    """The content of --json, see jsr.cli.evaluate."""
    return {"protocol": protocol and protocol.name, "profiles": keys, "crop_border": crop_border, "weights": weights,
            "codecs": evaluation.same_codecs(made),
            "methods": {name: str(folder) for name, folder in folders.items()}, "images": rows,
            "compared": comparison.compare(rows, methods, keys) if rows else [],
            "worst": comparison.worst(rows, methods, keys[0]) if rows else {},
            "bootstrap": {"draws": comparison.DRAWS, "level": comparison.LEVEL, "seed": comparison.SEED},
            "skipped": sorted(problems)}


def show(found, console):
    """Prints the table and the worst images."""
    rows, keys = found["images"], found["profiles"]
    if not rows:
        console.print("no image is scored of all methods")
        return
    lines = _lines(found)
    by = f", baseline's LR by {found['codecs']}" if found["codecs"] else ""
    shown = Table("method", title=f"means over {len(rows)} images{by}", title_justify="left")
    for key in keys:
        shown.add_column(metrics.label(key) + (", less is better" if metrics.less_is_better(key) else ""),
                         justify="right")
    for method, cells in lines.items():
        shown.add_row(method, *("\n".join(cell) for cell in cells))
    console.print(shown)
    console.print(_explained(found))
    for method, worst in found["worst"].items():
        if worst:
            console.print(f"{method} is worst, in {metrics.label(keys[0])}, at " + ", ".join(
                f"{row['name']} ({row['value']:.4f}, {row['behind']:.4f} behind {row['than']})" for row in worst))


def _lines(found):
    """{method: [[mean, words on the difference]]}, a cell a score."""
    lines = {}
    for row in found["compared"]:
        if row["method"] == row["best"]:
            words = "best"
        elif not math.isfinite(row["difference"]):  # of a method whose every pixel is right
            words = "-"
        else:
            words = f"{row['difference']:+.4f}"
            words += f" [{row['low']:+.4f}, {row['high']:+.4f}]" if math.isfinite(row["low"]) else ""
            words += "" if row["low"] > 0 or row["high"] < 0 else " ?"
        lines.setdefault(row["method"], []).append([f"{row['mean']:.4f}", words])
    return lines


def _explained(found):
    return (f"Below a mean: its difference to the best, and where it lies in {comparison.LEVEL:.0%} of "
            f"{comparison.DRAWS:,} draws of the {len(found['images'])} images (paired bootstrap, seed "
            f"{comparison.SEED}); \"?\" where that includes 0: it may be chance.")


def write(found, args, video):
    """Writes --json, --csv and --html; the page of clips, `video`, has no crops."""
    if args.json:
        _output.write_json(args.json, metrics.json_ready(found), args)
    if args.csv:
        with _output.opened(args.csv, args) as file:
            table, keys = csv.writer(file, lineterminator="\n"), found["profiles"]
            methods = list(found["images"][0]["scores"]) if found["images"] else []
            table.writerow(["name", *(f"{method} {key}" for method in methods for key in keys)])
            table.writerows([row["name"], *(row["scores"][method][key] for method in methods for key in keys)]
                            for row in found["images"])
    if args.html:
        with _output.opened(args.html, args) as file:
            file.write(_page(found, [] if video else _worst_rows(found)))


def _worst_rows(found):
    """The rows of the images that are named, the worst in front."""
    behind = {}
    for line in (line for lines in found["worst"].values() for line in lines):
        behind[line["name"]] = max(line["behind"], behind.get(line["name"], 0.0))
    return sorted((row for row in found["images"] if row["name"] in behind), key=lambda row: -behind[row["name"]])


def _page(found, worst):
    """One page with the table, a table of the images, and crops of the worst rows."""
    from jsr import report

    keys = found["profiles"]
    methods = list(found["images"][0]["scores"]) if found["images"] else []
    means = [(html.escape(method), *(f"{mean}<br><small>{html.escape(words)}</small>" for mean, words in cells))
             for method, cells in (_lines(found) if found["images"] else {}).items()]
    first = keys[0]
    each = [(html.escape(row["name"]), *(f"{row['scores'][method][first]:.4f}" for method in methods))
            for row in found["images"]]
    pictures = "<h2>Worst images</h2>" + "".join(map(_crops, worst[:_SHOWN])) if worst else ""
    by = "".join(f"<li>{metrics.label(row['score'])} by {html.escape(row['weights'])}, SHA-256 {row['sha256']}</li>"
                 for row in found["weights"])
    return page.standalone(", ".join(methods), f"""<h1>{html.escape(', '.join(methods))}</h1>
<section class='card stack'>{report.table_of(('', *map(metrics.label, keys)), means)}
<p class='soft'>{html.escape(_explained(found))}</p><ul class='small'>{by}</ul></section>
{pictures}
<section class='card stack'><h2>{metrics.label(first)} of every image</h2>
{report.table_of(('', *map(html.escape, methods)), each)}</section>""")


def _crops(row):
    """A row of crops of an image, where the methods' errors differ most."""
    from jsr import report

    hr = read_rgb(row["hr"])
    pictures = {method: read_rgb(path) for method, path in row["files"].items()}
    height, width = next(iter(pictures.values())).shape[:2]
    shown = crops.beside(pictures, hr[:height, :width])
    return f"<section class='card stack'><h3>{html.escape(row['name'])}</h3>{report.linked(shown.items())}</section>"
