"""List the models on this machine, shipped, downloaded or trained, and get others.

  jsr models                    the models here, by the names that `jsr upscale -m NAME`, `jsr.load` and others take
  jsr models public             well-known public models that `get` knows, with licences
  jsr models show x4            the card of a model: purpose, data, licences, scores
  jsr models get swinir-x4      downloads it and makes it a model file, in the user's cache folder
  jsr models get https://example.org/MyModel.pth --sha256 4fa0d389... --name mine
  jsr models get hf:ORG/REPO/model.safetensors
  jsr models get lpips-alex     weights of a score, and the network that it needs: lpips-alex, lpips-vgg, dists, niqe
  jsr models push runs/aim22_t1/quick hf:ORG/REPO

The same command again resumes a broken download. jsr refuses a file whose SHA-256 differs from the known one; for other
files it prints the SHA-256 and keeps it in `downloads.json` beside them. PyTorch weights are converted as by `jsr
convert`, which reads only tensors. Only `get` downloads, only `push` uploads.

--json prints a list with one object per model here:
  name, path       name of the model, and path of its file
  origin           shipped, downloaded or run
  networks         ids of its networks, in the order in which an image passes them; for an ensemble one chain after
                   the other
  members          number of networks or chains in an ensemble, whose results are averaged; 1 if it is none
  scale            SR size over LR size
  purpose          purpose, in a few words
  params           parameters in the file
  bytes            size of the file
  s_per_mpx        CPU seconds for a million pixels of the result, as recorded with its scores; else null
  licence          licence of the weights, "" where not stated
  commercial       whether the licence allows commercial use: yes, no or unstated
  data             training data, "" where not known
`jsr models public --json` prints the columns of jsr/weights/public.py.
"""

import argparse
import dataclasses
import json
import math
from pathlib import Path
import statistics

from rich.table import Table

from jsr import model_file, terminal, weights
from jsr.cli import _models_get
from jsr.errors import UserError, install
from jsr.metrics import score_weights
from jsr.weights import hub, public, scores

_COMMERCIAL = {"Apache-2.0": "yes", "MIT": "yes", "BSD-3-Clause": "yes"}  # of licences, where nobody says it
_ON_THE_HUB = {"apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-sa-4.0"}


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.set_defaults(action=_list, json=False)
    parser.add_argument("--json", action="store_true", help="print the models here as JSON")
    whats = parser.add_subparsers(metavar="WHAT")

    def what(name, action, about):
        added = whats.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.",
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
        added.set_defaults(action=action)
        return added

    listing = what("public", _list_public, "list the public models that `get` knows")
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    show = what("show", _show, "print the card of a model")
    show.add_argument("model", help="name, run's folder, model file, or name of a public model")
    get = what("get", _models_get.run, "download a model into the user's cache folder")
    get.add_argument("place", metavar="NAME", help="name of a public model, address of a file, or hf:ORG/REPO[/FILE]")
    get.add_argument("--sha256", metavar="HASH", default="", help="SHA-256 that the file must have")
    get.add_argument("--name", help="name for the model here; by default the file's or the repository's")
    push = what("push", _push, "upload a model, with a card, to the Hugging Face hub")
    push.add_argument("model", help="name, run's folder or model file")
    push.add_argument("place", metavar="hf:ORG/REPO", help="repository, made where there is none; HF_TOKEN lets you in")
    push.add_argument("--private", action="store_true", help="make a new repository private")


def run(args):
    """Runs the chosen subcommand; returns the exit status."""
    return args.action(args)


def _list(args):
    rows, errors = [], []
    for name, (origin, path) in _there().items():
        try:
            rows.append(_row(name, origin, path))
        except UserError as e:
            errors.append(e)
    if args.json:
        print(json.dumps(rows, indent=2))
    else:
        _print_rows(rows)
    stderr = terminal.console(stderr=True)
    for error in errors:
        stderr.print(f"jsr models: {error}")
    return 1 if errors else 0


def _there():
    """{name: (origin, path)} of the models that are there."""
    found = {name: ("shipped" if path.parent == weights.SHIPPED else "downloaded", path)
             for name, path in weights.files().items()}
    for folder in sorted(Path("runs").glob("*/*")):
        path = next((folder / kept for kept in model_file.KEPT if (folder / kept).is_file()), None)
        if path:
            found[str(folder)] = "run", path
    return found


def _row(name, origin, path):
    """The object of a model file in --json, see above."""
    meta, params = model_file.describe(path)
    source = public.models().get(name) if origin == "downloaded" else None
    licence = meta.get("licence") or (source.licence if source else "")
    return {"name": name, "path": str(path), "origin": origin, "networks": [net["model"] for net in meta["networks"]],
            "members": len(model_file.chains(meta)), "scale": _scale(meta),
            "purpose": _purpose(name, origin, path, meta, source), "params": params,
            "bytes": path.stat().st_size, "s_per_mpx": _speed(meta.get("scores") or {}), "licence": licence,
            "commercial": source.commercial if source else _COMMERCIAL.get(licence, public.UNSTATED),
            "data": source.data if source else _data(meta)}


def _scale(meta):
    return math.prod(net["scale"] for net in model_file.chains(meta)[0])


def _networks(row):
    """The networks of a row in a text: " > " between those of a chain, " + " between those of an ensemble."""
    length = len(row["networks"]) // row["members"]
    return " + ".join(" > ".join(row["networks"][start:start + length])
                      for start in range(0, len(row["networks"]), length))


def _purpose(name, origin, path, meta, source):
    """A model's purpose, in a few words: stated, or how it was made."""
    if origin == "shipped":
        return weights.PURPOSES.get(name, "")
    if source:
        return source.purpose
    if origin == "downloaded" and (address := _models_get.taken_from(path)):
        return f"not stated; from {address}"
    steps = "" if meta.get("steps") is None else f", {meta['steps']:,} steps"
    return f"trained by {meta['recipe']}{steps}" if meta.get("recipe") else "converted from PyTorch weights"


def _speed(scores):
    """Median of the CPU seconds per output Mpx in the scores of all sets and levels; None without any."""
    seconds = [level["seconds_per_mpx"] for levels in scores.values() if isinstance(levels, dict)
               for level in levels.values() if isinstance(level, dict) and "seconds_per_mpx" in level]
    return statistics.median(seconds) if seconds else None


def _data(meta):
    """A model's training data, in a few words."""
    if pictures := meta.get("pictures"):
        origins = {row["origin"] for row in pictures}
        return f"{sum(row['count'] for row in pictures):,} pictures of {len(origins)} origins"
    return ", ".join(dict.fromkeys(row["dataset"] or "pairs of files" for row in meta.get("data") or ()))


def _print_rows(rows):
    table = _table("name", "", "scale", "network", ">parameters", ">MB", ">s/Mpx", "licence", "made for")
    for row in rows:
        speed = "" if row["s_per_mpx"] is None else f"{row['s_per_mpx']:.2f}"
        table.add_row(row["name"], row["origin"], f"x{row['scale']}", _networks(row), f"{row['params']:,}",
                      f"{row['bytes'] / 1e6:,.1f}", speed, row["licence"] or public.UNSTATED,
                      row["purpose"] + (f"; trained on {row['data']}" if row["data"] else ""))
    terminal.console().print(
        table, "", "s/Mpx: CPU seconds for a million pixels of the result, where they were measured with the scores",
        f"{len(public.models())} public ones come by `jsr models get NAME`; `jsr models public` lists them", sep="\n")


def _list_public(args):
    if args.json:
        print(json.dumps([dataclasses.asdict(row) for row in public.models().values()], indent=2))
        return 0
    table, there = _table("name", "scale", "network", ">MB", "licence", "commercial use", "made for"), weights.files()
    for name, row in public.models().items():
        note = "; there" if name in there else "" if row.address else f"; by hand, from {row.page}"
        table.add_row(name, f"x{row.scale}", row.network, f"{row.bytes / 1e6:,.1f}" if row.bytes else "",
                      row.licence or "none stated", row.commercial, row.purpose + note)
    of_scores = _table("weights of a score", "network", ">kB", "licence", "score of `jsr evaluate --profile`")
    for row in scores.table().values():
        note = "; there" if score_weights.place(row.name).exists() else ""
        of_scores.add_row(row.name, row.network, f"{row.bytes / 1e3:,.1f}", row.licence, row.score + note)
    terminal.console().print(table, "", "Commercial use is as the licence of the authors' repository has it; the "
                                        "pictures that a model was trained on may have terms of their own.", "",
                             of_scores, sep="\n")
    return 0


def _table(*columns):
    """A table without lines; a heading's ">" aligns its column to the right, the last one alone wraps."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left",
                         no_wrap=column != columns[-1])
    return table


def _show(args):
    source = public.models().get(args.model)
    if source and args.model not in weights.files() and not Path(args.model).exists():
        lines = [f"{field.name:<12}{value}" for field in dataclasses.fields(source)
                 if (value := getattr(source, field.name)) not in ("", 0)]
        terminal.console().print("\n".join(lines), "", f"{args.model} {weights.unknown(args.model)}", sep="\n")
        return 0
    terminal.console().print(_card(*_named(args.model)))
    return 0


def _named(model):
    """(name, path) of a model that a person has named."""
    path = model_file.find(model)
    if weights.files().get(model) == path:
        return model, path
    return path.absolute().parent.name if path.name in model_file.KEPT else path.stem, path


def _card(name, path):
    """The card of a model, Markdown: what its file says, and of a shipped one the notes that lie beside it."""
    origin = next((origin for origin, its in _there().values() if its == path), "file")
    row, (meta, _) = _row(name, origin, path), model_file.describe(path)
    lines = [f"# {name}", "", f"x{row['scale']}, {_networks(row)}: {row['purpose']}.", "",
             f"- {row['params']:,} parameters, {row['bytes'] / 1e6:,.1f} MB",
             f"- licence of the weights: {row['licence'] or 'not stated'}; commercial use: {row['commercial']}"]
    if recipe := meta.get("recipe"):
        lines.append(f"- recipe: {recipe}")
    if meta.get("steps") is not None:
        lines.append(f"- updates: {meta['steps']:,}")
    lines += [f"- trained on: {row['data']}"] * bool(row["data"])
    fingerprint = meta.get("fingerprint") or {}
    if "source" in fingerprint:
        lines.append(f"- converted from {fingerprint['source']}, SHA-256 {fingerprint.get('sha256', 'not stated')}")
    scores = meta.get("scores") or {}
    codecs = (fingerprint.get("codecs") or {}).get("data.eval", "")
    by = f", LR by {codecs}" if codecs else ""
    lines += [f"- {key} on the validation images{by}: {value:.4f}" for key, value in scores.items()
              if isinstance(value, float)]
    notes = path.with_suffix(".md")
    if path.parent == weights.SHIPPED and notes.is_file():
        lines += ["", notes.read_text(encoding="utf-8").strip()]
    sets = {title: levels for title, levels in scores.items() if isinstance(levels, dict)}
    if sets:
        lines += ["", "## Scores", "", "PSNR[rgb] in dB over plain bicubic enlargement, at x1 over the input, on "
                  "pictures that no training saw.", "",
                  "| set | level | before | gain | worst picture | worse | s/Mpx |",
                  "|---|---|--:|--:|--:|--:|--:|"]
        lines += [f"| {title} | {level} | {float(each['baseline']['psnr[rgb]']):.2f} | {each['gain']:+.3f} | "
                  f"{each['worst']:+.2f} ({each['worst_name']}) | {each['lost']}/{each['images']} | "
                  f"{each['seconds_per_mpx']:.2f} |"
                  for title, levels in sets.items() for level, each in levels.items()]
    if runs := meta.get("training"):
        lines += ["", "## Training", "", "Runs in order, each from the file of the one before; gain on the validation "
                  "images in dB by step.", ""]
        lines += [f"{number}. {each['steps']:,} steps of {each['batch']} crops of {each['crop']} HR px, seed "
                  f"{each['seed']}, learning rate {each['learning_rate']:g} ({each['schedule']['name']}), average "
                  f"{each['ema_decay']:g}: {', '.join(f'{step} {gain:+.3f}' for step, gain in each['curve'])}"
                  for number, each in enumerate(runs, 1)]
    if pictures := meta.get("pictures"):
        lines += ["", "## Pictures", "", "| origin | licence | author | pictures |", "|---|---|---|--:|"]
        lines += [f"| {each['origin']} | {each['licence']} | {each['author']} | {each['count']} |" for each in pictures]
    return "\n".join(lines)


def _push(args):
    name, path = _named(args.model)
    model_file.load_members(path)  # what others could not load stays here
    card = _hub_card(name, path, args.place)
    address = hub.push(args.place, {f"{name}.safetensors": path, "README.md": card.encode()}, private=args.private)
    terminal.console().print(f"pushed {name}: {address}")
    return 0


def _hub_card(name, path, place):
    """The card as the hub reads it: YAML, which JSON is, in front; how to use the model; and the card of the model."""
    meta, _ = model_file.describe(path)
    licence = meta.get("licence") or ""
    known = licence.lower() in _ON_THE_HUB
    front = {"library_name": "jsr", "pipeline_tag": "image-to-image",
             "license": licence.lower() if known else "other" if licence else "unknown",
             **({"license_name": licence} if licence and not known else {}),
             "tags": ["jax", "flax", "safetensors",
                      "image-restoration" if _scale(meta) == 1 else "image-super-resolution"]}
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", "",
                      _card(name, path), "", "## Use", "", "```sh", install("hub"),
                      f"jsr models get {place}/{name}.safetensors", f"jsr upscale photo.jpg -m {name}", "```", ""])
