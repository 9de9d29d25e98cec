"""Writes the cards of the models that jsr ships, jsr/weights/NAME.md, from what their files hold.

    python benchmarks/box/cards.py
    python benchmarks/box/cards.py --check        # exit status 1 where a card is not that of its file

What a file cannot know stands here: what a model is for, what it costs, what its results look like.
"""

import argparse
from pathlib import Path
import sys

from jsr import model_file, models

WEIGHTS = Path(__file__).parents[2] / "jsr" / "weights"

# name: purpose; command; cost on one core (benchmarks/README.md); what it is bad at
NOTES = {}


def card(path):
    """The text of a file's card, Markdown."""
    meta, networks, variables = model_file.load(path)
    notes, (network,) = NOTES[path.stem], meta["networks"]
    module = networks[network["name"]]
    count = sum(leaf.size for leaf in _leaves(variables))
    gained = "its input" if module.scale == 1 else "bicubic"
    yield f"# {path.stem}\n\n{notes['purpose']}\n\n    {notes['command']}\n"
    yield from _rows([("network", f"`{network['model']}`, {count:,} parameters, {models.card(module).title}"),
                      ("file", f"{path.stat().st_size / 1000:.0f} kB, float16"), ("scale", f"x{module.scale}"),
                      ("cost", notes["cost"]), ("recipe", f"`{meta['recipe']}`, seed {meta['training'][0]['seed']}"),
                      ("licence", f"{meta['licence']}; that of the pictures below is theirs")], "", "")
    yield "\n## What it is bad at\n"
    yield from (f"- {line}" for line in notes["bad_at"])
    yield f"\n## Scores\n\nPSNR[rgb] in dB over {gained}, means over pictures that no training saw, and the worst one.\n"
    for title, levels in meta["scores"].items():
        if isinstance(levels, dict):
            yield f"{title}:\n"
            yield from _rows([(level, f"{row['baseline']['psnr[rgb]']:.2f}", f"{row['gain']:+.2f}",
                               f"{row['gain_y']:+.2f}", f"{row['worst']:+.2f} ({row['worst_name']})",
                               f"{row['lost']} of {row['images']}") for level, row in levels.items()],
                             "input", "before", "gain", "gain of PSNR[y_601]", "worst", "lost")
            yield ""
    yield "## Training\n\nRuns in order, each from the file of the one before; validation gain in dB by step:\n"
    for number, run in enumerate(meta["training"], 1):
        schedule = run["schedule"].get("name", "constant")
        yield (f"{number}. {run['steps']:,} steps of {run['batch']} crops of {run['crop']} HR px, learning rate "
               f"{run['learning_rate']:g}, {schedule}, average {run['ema_decay']}: " +
               ", ".join(f"{step} {gain:+.3f}" for step, gain in _thinned(run["curve"])))
    yield "\n## Pictures\n"
    yield from _rows([(row["count"], row["origin"], row["licence"], row["author"], row["standing"])
                      for row in meta["pictures"]], "tiles", "origin", "licence", "author", "stated by")
    yield f"\nThe list of all tiles with their hashes: benchmarks/box/data.tsv, SHA-256 {meta['pictures_sha256']}."


def _leaves(tree):
    return [tree] if hasattr(tree, "size") else [leaf for part in tree.values() for leaf in _leaves(part)]


def _thinned(curve, most=8):
    return curve if len(curve) <= most else [*curve[::-(-len(curve) // most)], curve[-1]]


def _rows(rows, *head):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |"


def main():
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say which cards are not those of their files")
    args, stale = parser.parse_args(), []
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        text, target = "\n".join(card(path)) + "\n", path.with_suffix(".md")
        if not args.check:
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            stale.append(target.name)
    if stale:
        sys.exit(f"{', '.join(stale)}: run benchmarks/box/cards.py")


if __name__ == "__main__":
    main()
