"""The picture and the table of `jsr benchmark challenge`: gain over the baseline against latency."""

from html import escape
import math

from jsr import challenges
from jsr.errors import UserError
from jsr.timing import tables
from jsr.timing.rows import geometric_mean

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 540, 64, 24, 56, 56  # px; the last four are margins
# Readable on white and on GitHub's dark grey, whatever the page is: no background, and colours of middle lightness
_INK, _OURS, _THEIRS = "#7d8590", "#2f81f7", "#d9822b"
_STYLE = f"text{{font:12px sans-serif;fill:{_INK}}} .big{{font-size:15px}} .name{{font-size:10px}}"


def svg(files):
    """The picture, SVG text: a panel a challenge and file, each entry as published and as measured, the two joined.

    Args:
      files: dicts of `jsr benchmark challenge`, as jsr.timing.rows.read gives them.

    Raises:
      UserError: nothing in them was timed.
    """
    panels = [_panel(protocol, rows, device(file)) for file in files for protocol, rows in _timed(file).items()]
    if not panels:
        raise UserError("nothing to draw: no entry in these files was timed; they are to be of "
                        "`jsr benchmark challenge`")
    placed = [f'<svg y="{index * HEIGHT}" width="{WIDTH}" height="{HEIGHT}">{panel}</svg>'
              for index, panel in enumerate(panels)]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT * len(panels)}" role="img">'
            f"<style>{_STYLE}</style>\n" + "\n".join(placed) + "\n</svg>\n")


def markdown(files, page=""):
    """A page of files of `jsr benchmark`: of each how it was made, and its tables, one a challenge.

    Args:
      files: those of `challenge`, and of what jsr.timing.tables.TABLES names.
      page: the page of before, of which the text in front of the tables stays.

    Raises:
      UserError: a file of something else.
    """
    head = page.partition(_TABLES)[0].rstrip("\n") or "# Measured"
    return "\n".join([head, _TABLES, *map(_section, files)])


_TABLES = "\n## Tables\n"


def _section(file):
    machine = file["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in file["versions"].items() if version)
    lines = [f"### {device(file)}", "", f"`{file['command']}`", "",
             f"{file['date'][:10]}; {', '.join(machine['devices'])}; {_cores(machine)}; {versions}.", ""]
    for title, columns, rows in _tables(file):
        lines += [f"#### {title}", "", " | ".join(column.lstrip(">") for column in columns),
                  "|".join("--:" if column.startswith(">") else "---" for column in columns),
                  *map(" | ".join, rows), ""]
    if file["what"] == "challenge":
        lines += _means(file["results"])
    return "\n".join(lines)


def _means(results):
    """Lines on the ratios of all rows of a file, where something was compared."""
    lines = []
    for key, whose in (("ratio", "the fastest of ours"), ("jax_ratio", "XLA")):
        ratios = {row["recipe"]: row[key] for row in results if row.get(key)}
        above = sorted((name for name, ratio in ratios.items() if ratio > 1), key=ratios.__getitem__, reverse=True)
        if ratios:
            lines += [f"Of {len(ratios)} rows {whose} takes {geometric_mean(ratios.values()):.2f} of the fastest "
                      f"peer's time in the geometric mean, and more than it in {len(above)}"
                      + f": {', '.join(f'{name} {ratios[name]:.2f}' for name in above)}" * bool(above) + ".", ""]
    return lines


def _tables(file):
    """(title, columns, rows of texts) of a file's tables."""
    what, results = file["what"], file["results"]
    if what in tables.TABLES:
        title, columns, texts = tables.TABLES[what]
        yield title, columns, map(texts, results)
    elif what != "challenge":
        raise UserError(f"no page has a table of {what!r}; name files of challenge, {', '.join(tables.TABLES)}")
    else:
        for protocol in dict.fromkeys(row["protocol"] for row in results):
            yield (challenges.protocol(protocol).title, COLUMNS,
                   (cells(row) for row in results if row["protocol"] == protocol))


def _timed(file):
    """{protocol: its rows that were timed}; {} of another benchmark's file."""
    found = {}
    for row in file["results"]:
        if row.get("runtime_ms"):
            found.setdefault(row["protocol"], []).append(row)
    return found


def _panel(protocol, rows, device):
    about = challenges.protocol(protocol)
    pairs = [(row["recipe"].partition(":")[2], row["published"]["gain_db"], row["published"]["runtime_ms"],
              row["whole_ms"]) for row in rows]
    times = [time for _, _, *both in pairs for time in both if time]  # a report may name none
    gains = [gain for _, gain, *_ in pairs]
    x = _scale(math.log10(min(times)), math.log10(max(times)), LEFT, WIDTH - RIGHT)
    y = _scale(min(gains), max(gains), HEIGHT - BOTTOM, TOP)
    parts = [*_axes(x, y, times, gains), _text(LEFT, 20, about.title, "big"),
             *_legend(LEFT, 40, _OURS, f"here: {device}"),
             *_legend(WIDTH / 2, 40, _THEIRS, f"published: {about.runtime or 'various GPUs'}"),
             _text(WIDTH / 2, HEIGHT - 12, "ms an image of the challenge's size", anchor="middle"),
             f'<g transform="rotate(-90 14 {HEIGHT / 2})">'
             f'{_text(14, HEIGHT / 2, f"published gain over {about.baseline}, dB", anchor="middle")}</g>']
    for name, gain, theirs, ours in sorted(pairs, key=lambda pair: pair[1]):
        here, level = x(math.log10(ours)), y(gain)
        if theirs:
            there = x(math.log10(theirs))
            parts += [f'<path d="M{here:.1f} {level:.1f}H{there:.1f}" stroke="{_INK}" stroke-opacity=".25"/>',
                      _dot(there, level, _THEIRS)]
        parts += [_dot(here, level, _OURS), _text(here + 7, level + 3, name, "name")]
    return "\n".join(parts)


COLUMNS = ("entry", ">params", ">GMACs", ">as hooks count", ">published", ">activations, M", ">model, MB",
           ">memory, MB", ">XLA, ms", ">fastest, ms", ">p99", ">whole, s", "runtime", ">copying", ">published ms",
           ">score", ">published score", "fastest peer", ">XLA / it", ">ours / it")  # ">" aligns to the right


def cells(row):
    """The texts of a row's COLUMNS; of one that was not timed its note instead."""
    said, name = row["published"], row["recipe"].partition(":")[2]
    name += "" if row["passes"] == 1 else f" ({row['passes']} passes)"
    if not row.get("runtime_ms"):
        return [f"{name}: {row['note']}", *[""] * (len(COLUMNS) - 1)]
    in_xla, ours = row["rows"][0], next(each for each in row["rows"] if each["name"] == row["runtime"])
    return [name, f"{row['params']:,}", _figure(row["gmacs"], ",.4f"), _figure(row["hook_gmacs"], ",.4f"),
            _figure(said["flops_g"], "g"), f"{row['activations'] / 1e6:,.1f}", _model(row),
            f"{row['memory']['peak_bytes'] / 1e6:,.0f}", _figure(row["passes"] * in_xla["median_ms"]),
            _figure(row["runtime_ms"]), _figure(row["passes"] * ours["p99_ms"]), _whole(row),
            row["runtime"],
            _figure(row["transfer"]["median_ms"]), _figure(said["runtime_ms"], ",g"), _figure(row["score"]),
            _figure(said["score"]), row["best_peer"] or "", _figure(row["jax_ratio"]), _figure(row["ratio"])]


def _model(row):
    """MB of 2^20 bytes, as the challenges' tables have them, with the challenge's limit where they exceed it."""
    size = row["model_bytes"] / 2**20
    return _figure(size) + challenges.excess(challenges.protocol(row["protocol"]), "model_mb", size)


def _whole(row):
    """Seconds for an image of the challenge's size, of a row that was timed at another."""
    timing = challenges.protocol(row["protocol"]).timing
    if timing and tuple(row["size"]) == timing.size:
        return ""
    return _figure(row["whole_ms"] / 1e3, ",.1f")


def device(file):
    """The machine of a file in a few words."""
    machine = file["machine"]
    kind = machine["devices"][0]
    return f"{_cores(machine)}, {machine['cpu']}" if kind.startswith("cpu") else kind


def _cores(machine):
    return f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''}"


def _figure(value, form=",.2f"):
    return "" if value is None else format(value, form)


def _scale(least, most, start, stop):
    """A linear map of [least, most], with a margin, to [start, stop]."""
    margin = 0.06 * (most - least) or 0.5
    least, most = least - margin, most + margin
    return lambda value: start + (value - least) / (most - least) * (stop - start)


def _axes(x, y, times, gains):
    """Lines and figures at 1, 2 and 5 times the powers of ten, and at each 0.2 dB or more."""
    least, most = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    marks = [mark * 10.0**power for power in range(least, most + 1) for mark in (1, 2, 5)]
    for mark in (mark for mark in marks if LEFT <= x(math.log10(mark)) <= WIDTH - RIGHT):
        at = x(math.log10(mark))
        yield f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{_INK}" stroke-opacity=".15"/>'
        yield _text(at, HEIGHT - BOTTOM + 16, f"{mark:g}", anchor="middle")
    step = max(0.1, round((max(gains) - min(gains)) / 8, 1))
    for number in range(math.floor(min(gains) / step) - 1, math.ceil(max(gains) / step) + 2):
        at = y(number * step)
        if TOP <= at <= HEIGHT - BOTTOM:
            yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="{_INK}" stroke-opacity=".15"/>'
            yield _text(LEFT - 6, at + 4, f"{number * step:.1f}", anchor="end")


def _legend(x, y, colour, text):
    return _dot(x + 4, y - 4, colour), _text(x + 14, y, text)


def _dot(x, y, colour):
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'


def _text(x, y, text, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
