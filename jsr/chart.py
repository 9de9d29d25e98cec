"""Line charts as SVG text, for a page that needs nothing else."""

import html
import math

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 62, 26, 26, 26  # margins, px
COLOURS = ("#1965b0", "#dc050c", "#4eb265", "#882e72", "#f7a600")


def lines(title, series, *, log=False, marks=(), level=None):
    """A chart of curves over steps.

    Args:
      title: above it.
      series: {label: [(x, y)]}, x from 0 on; points that are None or not finite, on a logarithmic scale not positive,
        are left out.
      log: a logarithmic vertical scale.
      marks: [(x, text)] of vertical lines.
      level: a horizontal line at this y; None draws none.

    Returns:
      One <svg> element; "" where no points are left.
    """
    series = {label: [(x, y) for x, y in points if y is not None and math.isfinite(y) and (y > 0 or not log)]
              for label, points in series.items()}
    series = {label: curve for label, curve in series.items() if curve}
    points = [point for curve in series.values() for point in curve]
    if not points:
        return ""
    to_scale = math.log10 if log else float
    values = [to_scale(y) for _, y in points] + ([] if level is None else [to_scale(level)])
    low, high = _padded(min(values), max(values))
    last = max(*(x for x, _ in points), 1)

    def place(x, value):
        return (f"{LEFT + x / last * (WIDTH - LEFT - RIGHT):.1f}",
                f"{TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM):.1f}")

    parts = [f'<text x="{LEFT}" y="15" font-weight="bold">{html.escape(title)}</text>']
    for tick in (_log_ticks if log else _ticks)(low, high):
        y, text = place(0, tick)[1], _number(10**tick if log else tick)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 6}" y="{y}" dy=".35em" text-anchor="end">{text}</text>')
    for tick in _ticks(0, last):
        x = place(tick, high)[0]
        parts.append(f'<text x="{x}" y="{HEIGHT - 8}" text-anchor="middle">{tick:,.0f}</text>')
    for x, text in marks:
        x = place(x, high)[0]
        parts.append(f'<path d="M{x} {TOP}V{HEIGHT - BOTTOM}" stroke="#999" stroke-dasharray="3"/>'
                     f'<text x="{x}" dx="3" y="{TOP + 10}" fill="#777">{html.escape(text)}</text>')
    if level is not None:
        parts.append(f'<path d="M{LEFT} {place(0, to_scale(level))[1]}H{WIDTH - RIGHT}" stroke="#555"/>')
    for number, (label, curve) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join(" ".join(place(x, to_scale(y))) for x, y in curve)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linecap="round"/>')
        if len(series) > 1:
            parts.append(f'<text x="{WIDTH - RIGHT}" y="{15 + 13 * number}" fill="{colour}" text-anchor="end">'
                         f"{html.escape(label)}</text>")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="sans-serif" font-size="11">{"".join(parts)}</svg>')


def _padded(low, high):
    """The range with some room above and below."""
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def _ticks(low, high, count=5):
    """Round numbers within a range, about `count`."""
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _log_ticks(low, high):
    """Logarithms of round numbers: within a decade of any, else of 1, 2 and 5 times powers of ten, or powers alone."""
    if high - low < 1:
        return [math.log10(tick) for tick in _ticks(10**low, 10**high) if tick > 0]
    powers = range(math.floor(low), math.ceil(high) + 1)
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    found = [power + math.log10(factor) for power in powers for factor in factors]
    return [tick for tick in found if low <= tick <= high]


def _number(value):
    return f"{value:.3g}" if abs(value) < 1e4 else f"{value:.1e}"
