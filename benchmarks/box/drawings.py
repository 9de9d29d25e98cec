"""Drawn pictures to train on: text pages, screens, charts, maps, comics, night streets, renderings.

Photographs hold little text, few lines and no screens, which is much of what people upscale. Every picture here follows
from its number alone (and from the fonts): words are made up, nothing is copied. A rendering does not carry the licence
of the font it was made with.

Shapes are drawn several times larger and shrunk by area, so that edges are as a camera or a good renderer gives them;
a part of the screens is drawn at their own size, as screenshots are.
"""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

SIDE = 384  # of a picture, px: divisible by 2, 3 and 4, and by the 16-px blocks of JPEG

# Word endings make the made-up words look like a language, so that letters have a language's frequencies.
_ALPHABETS = {
    "latin": ("b br c ch d f fl g gr h j k l m n p pr qu r s sh st t tr v w z".split(),
              "a e i o u ai ea ou é ü".split(), "n r s t l m nd ng st ck".split()),
    "greek": ("β γ δ θ κ λ μ ν π ρ σ τ φ χ ψ".split(), "α ε η ι ο υ ω ου αι".split(), "ς ν ρ λ".split()),
    "cyrillic": ("б в г д ж з к л м н п р с т ф х ц ч ш щ".split(), "а е и о у ы э ю я".split(),
                 "й л м н р т ть".split()),
}
_SIGNS = ("水火木金土山川田日月人口目手足車東西南北大小上下左右中出入口"
          "かなさしたてにのはまもやらりるをんアイウエオカキクケコ")
_PROBES = {"latin": "AaégW0", "greek": "βωΣ", "cyrillic": "бщЯ", "signs": "水カの。"}
_SLANTED = "Italic", "Oblique"


class Fonts:
    """The font files of some folders, by the alphabets that they hold; Pillow's own font where there are none."""

    def __init__(self, folders=()):
        """Finds and looks into the fonts below the folders: .ttf and .otf, in the order of their names."""
        paths = [p for folder in folders for p in sorted(Path(folder).rglob("*")) if p.suffix in (".ttf", ".otf")]
        found = {p.name: p for p in paths}
        self.files = [found[name] for name in sorted(found)]
        self._loaded = {}
        every = [*self.files, None]
        every = [f for f in every if self._ink(f) > 0.1]  # hairlines vanish at the sizes of a page
        self.by_alphabet = {name: [f for f in every if self._holds(f, probe)] for name, probe in _PROBES.items()}
        self.by_alphabet["latin"] = self.by_alphabet["latin"] or [None]
        self.mono = [f for f in self.by_alphabet["latin"] if self._is_mono(f)] or [None]

    def load(self, file, size):
        """One font at a size in px; `file` is None for Pillow's own."""
        key = file, round(size)
        if key not in self._loaded:
            self._loaded[key] = (ImageFont.load_default(key[1]) if file is None else
                                 ImageFont.truetype(str(file), key[1], layout_engine=ImageFont.Layout.BASIC))
        return self._loaded[key]

    def _holds(self, file, characters):
        # A missing character is drawn as the font's box (or blank), as U+FFFF, which no font has, is.
        font = self.load(file, 32)
        missing = bytes(font.getmask("\uffff"))
        drawn = [bytes(font.getmask(c)) for c in characters]
        return all(any(d) and d != missing for d in drawn) and len(set(drawn)) == len(drawn)

    def _ink(self, file):
        drawn = self.load(file, 64).getmask("nHo")
        return sum(drawn) / 255 / len(drawn)

    def _is_mono(self, file):
        font = self.load(file, 32)
        return font.getlength("iiii") == font.getlength("WWWW")


class Pen:
    """Draws on a picture in px of the finished picture, whatever the supersampling."""

    def __init__(self, rng, fonts, ground, scale, side, photographs=()):
        self.rng, self.fonts, self.scale, self.side, self.photographs = rng, fonts, scale, side, photographs
        self.image = Image.new("RGB", (side * scale, side * scale), ground)
        self._draw = ImageDraw.Draw(self.image)

    def paint(self, picture, box=None):
        """Lays a picture over all, or over a box (left, top, right, bottom)."""
        left, top, right, bottom = self._px(box or (0, 0, self.side, self.side))
        picture = picture.resize((max(1, round(right - left)), max(1, round(bottom - top))), Image.Resampling.BICUBIC)
        self.image.paste(picture, (round(left), round(top)))

    def stick(self, other, place, size):
        """Lays the left top part, `size`, of what another pen drew at a place."""
        place, size = (np.rint(self._px(v)).astype(int) for v in (place, size))
        self.image.paste(other.image.crop((0, 0, *size.tolist())), tuple(place.tolist()))

    def box(self, left, top, right, bottom, fill=None, outline=None, width=1, radius=0):
        """A rectangle, with round corners where `radius` is not 0."""
        box = self._px((left, top, max(left, right), max(top, bottom)))
        box[2:] = np.maximum(box[2:] - 1, box[:2])
        width = self._width(width) if outline else 0
        self._draw.rounded_rectangle(list(box), radius * self.scale, fill, outline, width)

    def disc(self, x, y, radius, fill=None, outline=None, width=1):
        """A circle round (x, y)."""
        box = self._px((x - radius, y - radius, x + radius, y + radius))
        self._draw.ellipse(list(box), fill, outline, self._width(width) if outline else 0)

    def wedge(self, x, y, radius, start, end, fill):
        """A slice of a pie, angles in degrees."""
        self._draw.pieslice(list(self._px((x - radius, y - radius, x + radius, y + radius))), start, end, fill)

    def line(self, points, fill, width=1, closed=False):
        """A line through points, its corners round."""
        points = [tuple(p) for p in self._px(points)]
        self._draw.line(points + points[:1] * closed, fill, self._width(width), joint="curve")

    def shape(self, points, fill=None, outline=None, width=1):
        """A polygon."""
        if fill is not None:
            self._draw.polygon([tuple(p) for p in self._px(points)], fill)
        if outline is not None:
            self.line(points, outline, width, closed=True)

    def font(self, size, mono=False, alphabet="latin"):
        """A font drawn at random, at a size in px of the finished picture."""
        files = self.fonts.mono if mono else self.fonts.by_alphabet[alphabet]
        if self.rng.random() < 0.75:  # half the files of a family are slanted, few of the words that people read
            files = [f for f in files if f is None or not f.stem.endswith(_SLANTED)] or files
        return self.fonts.load(files[self.rng.integers(len(files))], size * self.scale)

    def text(self, x, y, string, font, fill, anchor="ls", stroke=0, stroke_fill=None):
        """A line of text; `y` is its baseline by default."""
        if not self.fonts.files:
            string = string.encode("ascii", "ignore").decode()  # Pillow's own font holds no more
        self._draw.text(tuple(self._px((x, y))), string, fill, font, anchor=anchor,
                        stroke_width=round(stroke * self.scale), stroke_fill=stroke_fill)

    def length(self, string, font):
        """The length of a line of text, px of the finished picture."""
        return font.getlength(string) / self.scale

    def blurred(self, radius, draw, colour):
        """Adds light: what `draw(pen)` draws in white on black, blurred, times a colour."""
        light = Pen(self.rng, self.fonts, "black", self.scale, self.side)
        draw(light)
        glow = light.image.filter(ImageFilter.GaussianBlur(radius * self.scale))
        glow = ImageChops.multiply(glow, Image.new("RGB", glow.size, colour))
        self.image.paste(ImageChops.add(self.image, glow))

    def finished(self):
        """The picture at its own size."""
        return self.image.reduce(self.scale) if self.scale > 1 else self.image

    def _px(self, points):
        return np.asarray(points, np.float64) * self.scale

    def _width(self, width):
        return max(1, round(width * self.scale))


# Random material


def _colour(rng, light=(0, 1), vivid=(0, 1)):
    """A colour of a lightness and a saturation between bounds."""
    low, span = _between(rng, *light), _between(rng, *vivid)
    hue = rng.random() * 6
    rgb = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return tuple(int(v) for v in np.rint(255 * (low + span * (rgb - 0.5) * (1 - abs(2 * low - 1)))))


def _dimmed(colour, parts):
    return tuple(int(v) for v in np.array(colour) * parts)


def _between(rng, low, high):
    return float(rng.uniform(low, high))


def _pick(rng, options):
    return options[rng.integers(len(options))]


def _word(rng, alphabet="latin"):
    if alphabet == "signs":
        return "".join(_pick(rng, _SIGNS) for _ in range(rng.integers(1, 5)))
    if rng.random() < 0.06:
        return _number(rng)
    heads, middles, tails = _ALPHABETS[alphabet]
    return "".join(_pick(rng, heads) + _pick(rng, middles) for _ in range(rng.integers(1, 4))) + (
        _pick(rng, tails) if rng.random() < 0.6 else "")


def _words(rng, count, alphabet="latin"):
    return " ".join(_word(rng, alphabet) for _ in range(count))


def _number(rng):
    form = _pick(rng, ("{:.0f}", "{:.1f}", "{:.2f}", "{:,.0f}", "{:.0f} %", "-{:.2f}"))
    return form.format(10 ** _between(rng, 0, 5))


def _sentences(rng, count, alphabet):
    words = []
    commas, stops = (("、",), ("。",)) if alphabet == "signs" else ((",", ";", ":", " –"), (".", ".", ".", "?", "!"))
    for _ in range(count):
        sentence = [_word(rng, alphabet) for _ in range(rng.integers(4, 14))]
        sentence[0] = sentence[0].capitalize()
        if len(sentence) > 8:
            sentence[4] += _pick(rng, commas)
        sentence[-1] += _pick(rng, stops)
        words += sentence
    return words


def _grid(side, scale):
    """Coordinates of the finished picture at the supersampled positions: y, x, each [side * scale, side * scale]."""
    steps = (np.arange(side * scale) + 0.5) / scale
    return np.meshgrid(steps, steps, indexing="ij")


def _picture(values):
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _gradient(rng, side, colours, waves=0.0):
    """A ramp between two colours at a random angle, bent where `waves` is not 0."""
    y, x = _grid(side, 1)
    angle = _between(rng, 0, 2 * math.pi)
    t = (x * math.cos(angle) + y * math.sin(angle)) / side
    t = t + waves * np.sin(x / side * _between(rng, 3, 9) + y / side * _between(rng, 3, 9))
    t = ((t - t.min()) / max(np.ptp(t), 1e-6))[..., None]
    return _picture(np.float32(colours[0]) * (1 - t) + np.float32(colours[1]) * t)


def _clouds(rng, side, roughness=1.0):
    """Smooth noise in [0, 1], [side, side]: octaves of random values, each finer and weaker."""
    total = np.zeros((side, side), np.float32)
    for octave in range(1, 8):
        cells = min(2 ** octave, side)
        total += _enlarged(rng.random((cells, cells), np.float32), side) / cells ** roughness
    return (total - total.min()) / np.ptp(total)


def _enlarged(values, side):
    return np.asarray(Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC))


def _smooth(rng, count, amplitude, knots):
    """A smooth random curve of `count` values."""
    values = np.cumsum(rng.normal(size=knots)) if knots > 3 else rng.normal(size=knots)
    return amplitude * np.interp(np.linspace(0, knots - 1, count), np.arange(knots), values)


def _paragraph(pen, box, words, font, size, ink, justified=True, leading=1.35):
    """Sets words into a box (left, top, right, bottom), line by line; returns the baseline of the last line."""
    left, top, right, bottom = box
    blank = pen.length(" ", font)
    y, line = top + size, []
    for word in [*words, None]:
        width = sum(pen.length(w, font) for w in line) + blank * max(len(line) - 1, 0)
        if word is not None and (not line or width + blank + pen.length(word, font) <= right - left):
            line.append(word)
            continue
        gap = blank + ((right - left - width) / (len(line) - 1) if justified and word and len(line) > 1 else 0)
        x = left
        for w in line:
            pen.text(x, y, w, font, ink)
            x += pen.length(w, font) + gap
        line = [word]
        y += size * leading
        if y > bottom:
            break
    return y


# Kinds of pictures: each draws on a pen whose ground is white


def _page(pen, paper, ink):
    """A page of text: heading, columns of paragraphs, a rule, a page number."""
    rng = pen.rng
    pen.box(0, 0, pen.side, pen.side, paper)
    alphabet = _pick(rng, [a for a, files in pen.fonts.by_alphabet.items() if files] + ["latin"] * 3)
    size = _pick(rng, (7, 8, 9, 10, 11, 12, 14, 18, 24))
    margin, columns = _between(rng, 4, 30), 1 if size > 12 else rng.integers(1, 4)
    y = _between(rng, -10, 20)
    if rng.random() < 0.7:
        head = size * _between(rng, 1.3, 2.6)
        colour = ink if rng.random() < 0.6 else _colour(rng, (0.25, 0.6), (0.4, 1))
        pen.text(margin, y + head, _words(rng, 4, alphabet).capitalize(), pen.font(head, alphabet=alphabet), colour)
        y += 1.5 * head
        if rng.random() < 0.5:
            pen.line([(margin, y), (pen.side - margin, y)], colour, _pick(rng, (0.5, 1, 2)))
            y += 5
    font, bold = pen.font(size, alphabet=alphabet), pen.font(size, alphabet=alphabet)
    justified, leading = rng.random() < 0.6, _between(rng, 1.15, 1.6)
    width = (pen.side - 2 * margin + 10) / columns
    for column in range(columns):
        left, top = margin + column * width, y
        while top < pen.side + size:
            words = _sentences(rng, rng.integers(1, 5), alphabet)
            box = left, top, left + width - 10, pen.side + 2 * size
            top = _paragraph(pen, box, words, font if rng.random() < 0.8 else bold, size, ink, justified, leading)
            top += size * _between(rng, 0, 0.8)


def _light_page(pen):
    paper = _colour(pen.rng, (0.9, 1), (0, 0.6)) if pen.rng.random() < 0.6 else (255, 255, 255)
    _page(pen, paper, _colour(pen.rng, (0, 0.2), (0, 0.4)))


def _dark_page(pen):
    _page(pen, _colour(pen.rng, (0.02, 0.2), (0, 0.4)), _colour(pen.rng, (0.7, 1), (0, 0.6)))


def _title(pen, background):
    """Large words on a background, some with an outline or a shadow."""
    rng = pen.rng
    pen.paint(background)
    y = _between(rng, 0, 30)
    while y < pen.side:
        size = 10 * 2 ** _between(rng, 0, 3.2)
        alphabet = _pick(rng, [a for a, files in pen.fonts.by_alphabet.items() if files] + ["latin"] * 4)
        font, words = pen.font(size, alphabet=alphabet), _words(rng, rng.integers(2, 5), alphabet)
        if rng.random() < 0.4:
            words = words.upper()
        ink = _pick(rng, ((255, 255, 255), (0, 0, 0), _colour(rng, (0.3, 0.8), (0.5, 1))))
        paper = (0, 0, 0) if sum(ink) > 380 else (255, 255, 255)
        y += size * _between(rng, 1, 1.4)
        x = _between(rng, -10, 40)
        style = rng.integers(4)
        if style == 1:
            pen.text(x + size * 0.05, y + size * 0.05, words, font, paper)
        if style == 2:
            pen.box(x - 4, y - size, x + pen.length(words, font) + 4, y + size * 0.3, paper, radius=_pick(rng, (0, 4)))
        pen.text(x, y, words, font, ink, stroke=size * 0.04 if style == 3 else 0, stroke_fill=paper)


def _title_on_gradient(pen):
    colours = _colour(pen.rng, (0.1, 0.9)), _colour(pen.rng, (0.1, 0.9))
    _title(pen, _gradient(pen.rng, pen.side, colours, waves=_pick(pen.rng, (0, 0.1))))


def _title_on_photograph(pen):
    if pen.photographs:
        _title(pen, _pick(pen.rng, pen.photographs).crop((0, 0, pen.side, pen.side)))
        return
    low, high = np.float32(_colour(pen.rng, (0.05, 0.5))), np.float32(_colour(pen.rng, (0.4, 0.95)))
    t = _clouds(pen.rng, pen.side, _between(pen.rng, 0.6, 1.2))[..., None]
    _title(pen, _picture(low * (1 - t) + high * t))


def _icon(pen, x, y, size, ink, paper):
    """One of some simple icons in a square whose left top is (x, y)."""
    rng, s = pen.rng, size
    mid, w = (x + s / 2, y + s / 2), max(s / 12, 0.75)
    kind = rng.integers(9)
    if kind == 0:  # magnifying glass
        pen.disc(x + s * 0.42, y + s * 0.42, s * 0.28, None, ink, w)
        pen.line([(x + s * 0.62, y + s * 0.62), (x + s * 0.88, y + s * 0.88)], ink, 1.4 * w)
    elif kind == 1:  # star
        turns = np.arange(10) * math.pi / 5 - math.pi / 2
        radii = np.where(np.arange(10) % 2, 0.2, 0.48) * s
        pen.shape(np.stack([mid[0] + radii * np.cos(turns), mid[1] + radii * np.sin(turns)], 1), ink)
    elif kind == 2:  # gear
        pen.disc(*mid, s * 0.32, ink)
        for turn in np.arange(8) * math.pi / 4:
            a = np.array([math.cos(turn), math.sin(turn)])
            pen.line([mid + a * s * 0.28, mid + a * s * 0.46], ink, 1.8 * w)
        pen.disc(*mid, s * 0.14, paper)
    elif kind == 3:  # house
        pen.shape([(x + s * 0.5, y + s * 0.08), (x + s * 0.95, y + s * 0.5), (x + s * 0.05, y + s * 0.5)], ink)
        pen.box(x + s * 0.18, y + s * 0.5, x + s * 0.82, y + s * 0.92, ink)
        pen.box(x + s * 0.42, y + s * 0.6, x + s * 0.58, y + s * 0.92, paper)
    elif kind == 4:  # envelope
        pen.box(x + s * 0.08, y + s * 0.2, x + s * 0.92, y + s * 0.8, None, ink, w)
        pen.line([(x + s * 0.08, y + s * 0.2), (x + s * 0.5, y + s * 0.55), (x + s * 0.92, y + s * 0.2)], ink, w)
    elif kind == 5:  # check mark
        pen.line([(x + s * 0.12, y + s * 0.5), (x + s * 0.4, y + s * 0.8), (x + s * 0.9, y + s * 0.2)], ink, 1.6 * w)
    elif kind == 6:  # person
        pen.disc(mid[0], y + s * 0.3, s * 0.2, ink)
        pen.wedge(mid[0], y + s * 0.95, s * 0.4, 180, 360, ink)
    elif kind == 7:  # bars
        for k in range(4):
            left, right = x + s * (0.1 + 0.22 * k), x + s * (0.25 + 0.22 * k)
            pen.box(left, y + s * _between(rng, 0.1, 0.7), right, y + s * 0.9, ink)
    else:  # play
        pen.disc(*mid, s * 0.46, None, ink, w)
        pen.shape([(x + s * 0.38, y + s * 0.28), (x + s * 0.75, y + s * 0.5), (x + s * 0.38, y + s * 0.72)], ink)


def _screen(pen):
    """A desktop with windows: title bars, buttons, fields, lists, icons."""
    rng = pen.rng
    dark = rng.random() < 0.4
    tone = (0.1, 0.25) if dark else (0.88, 0.97)
    paper, panel = _colour(rng, tone, (0, 0.2)), _colour(rng, tone, (0, 0.2))
    ink = _colour(rng, (0.8, 1), (0, 0.1)) if dark else _colour(rng, (0, 0.2), (0, 0.1))
    accent, edge = _colour(rng, (0.35, 0.6), (0.6, 1)), _colour(rng, (0.4, 0.6), (0, 0.1))
    pen.paint(_gradient(rng, pen.side, (_colour(rng, (0.2, 0.7)), _colour(rng, (0.2, 0.7))), 0.05))
    size = _pick(rng, (9, 10, 11, 12, 13))
    font, files = pen.font(size), pen.font(size)
    radius = _pick(rng, (0, 3, 6))
    for _ in range(rng.integers(3, 6)):
        place = rng.integers(-40, pen.side // 2, size=2)
        desktop, pen = pen, Pen(rng, pen.fonts, paper, pen.scale, pen.side)  # a window hides what does not fit
        left, top, right, bottom = 0, 0, rng.integers(200, 340), rng.integers(180, 320)
        pen.box(left, top, right, top + 22, accent if rng.random() < 0.5 else panel, radius=radius)
        pen.text(left + 8, top + 15, _words(rng, 2).title(), font, ink)
        for k in range(3):
            pen.disc(right - 12 - 16 * k, top + 11, 5, _colour(rng, (0.4, 0.7), (0.3, 1)))
        x = left + 6
        for _ in range(5):  # the menu
            word = _word(rng).capitalize()
            pen.text(x, top + 38, word, font, ink)
            x += pen.length(word, font) + 12
        pen.line([(left, top + 44.5), (right, top + 44.5)], edge, 1)
        y = top + 50
        while y < bottom - 20:
            kind = rng.integers(6)
            if kind == 0:  # buttons
                x = left + 8
                for _ in range(3):
                    word = _word(rng).capitalize()
                    width = pen.length(word, font) + 18
                    filled = rng.random() < 0.4
                    pen.box(x, y, x + width, y + 20, accent if filled else panel, edge, 1, radius)
                    pen.text(x + 9, y + 14, word, font, ink if not filled else (255, 255, 255))
                    x += width + 6
                y += 26
            elif kind == 1:  # a field
                pen.text(left + 8, y + 14, _word(rng) + ":", font, ink)
                pen.box(left + 70, y, right - 10, y + 20, paper, edge, 1)
                pen.text(left + 75, y + 14, _words(rng, 2), files, ink)
                y += 26
            elif kind == 2:  # boxes to tick
                for _ in range(2):
                    pen.box(left + 8, y + 3, left + 20, y + 15, paper, edge, 1, 2)
                    if rng.random() < 0.6:
                        pen.line([(left + 10, y + 9), (left + 13, y + 12), (left + 18, y + 5)], accent, 1.5)
                    pen.text(left + 26, y + 13, _words(rng, 3), font, ink)
                    y += 18
            elif kind == 3:  # icons
                for x in range(left + 8, right - 24, 26):
                    _icon(pen, x, y, 18, _pick(rng, (ink, accent)), paper)
                y += 26
            elif kind == 4:  # progress
                pen.box(left + 8, y + 4, right - 8, y + 12, panel, edge, 1, 4)
                pen.box(left + 8, y + 4, left + 8 + (right - left - 16) * rng.random(), y + 12, accent, radius=4)
                y += 20
            else:  # a list
                for k in range(rng.integers(2, 6)):
                    band = accent if rng.random() < 0.15 else (panel, paper)[k % 2]
                    pen.box(left + 4, y, right - 14, y + size + 6, band)
                    pen.text(left + 10, y + size + 1, _words(rng, 3), files, ink)
                    pen.text(right - 20, y + size + 1, _number(rng), files, ink, anchor="rs")
                    y += size + 7
                y += 6
        pen.box(right - 10, top + 46, right - 2, bottom - 2, panel)
        pen.box(right - 9, top + 60, right - 3, top + 110, edge, radius=3)
        pen.box(left, top, right, bottom, None, edge, 1)
        desktop.stick(pen, place, (right, bottom))
        pen = desktop


def _code(pen):
    """A listing in an editor: line numbers, indented lines in several colours."""
    rng = pen.rng
    dark = rng.random() < 0.65
    paper = _colour(rng, (0.05, 0.2), (0, 0.4)) if dark else _colour(rng, (0.95, 1), (0, 0.3))
    inks = [_colour(rng, (0.6, 0.85) if dark else (0.15, 0.45), (0.2, 1)) for _ in range(6)]
    plain = _colour(rng, (0.8, 0.95) if dark else (0.05, 0.2), (0, 0.1))
    pen.box(0, 0, pen.side, pen.side, paper)
    size = _pick(rng, (9, 10, 11, 12, 13, 14, 16))
    font = pen.font(size, mono=True)
    number, y, depth = rng.integers(1, 900), 0, 0
    if rng.random() < 0.5:
        pen.box(0, size * 6.1, pen.side, size * 7.5, _colour(rng, (0.2, 0.3) if dark else (0.85, 0.95), (0, 0.3)))
    while y < pen.side + size:
        y += size * 1.4
        pen.text(30, y, str(number), font, inks[0], anchor="rs")
        number += 1
        if rng.random() < 0.1:
            continue
        depth = max(0, min(depth + rng.integers(-1, 2), 5))
        x = 40 + depth * pen.length("    ", font)
        if rng.random() < 0.15:
            pen.text(x, y, _pick(rng, ("# ", "// ", "/* ")) + _words(rng, 5), font, inks[1])
            continue
        for _ in range(rng.integers(2, 9)):
            word = _pick(rng, (_word(rng), _word(rng) + "_" + _word(rng), _number(rng), f'"{_words(rng, 2)}"',
                               *"= + - * ( ) { } [ ] == != -> => && || ; : , . < > <= >= += @ $ & %".split()))
            pen.text(x, y, word, font, plain if rng.random() < 0.5 else _pick(rng, inks))
            x += pen.length(word + " ", font)


def _table(pen):
    """A table: rules or bands, headings, numbers to the right."""
    rng = pen.rng
    dark = rng.random() < 0.25
    paper = _colour(rng, (0.08, 0.2) if dark else (0.95, 1), (0, 0.3))
    ink = _colour(rng, (0.8, 1) if dark else (0, 0.2), (0, 0.2))
    band, rule = _colour(rng, (0.2, 0.3) if dark else (0.85, 0.95), (0.1, 0.5)), _colour(rng, (0.3, 0.7), (0, 0.2))
    pen.box(0, 0, pen.side, pen.side, paper)
    size = _pick(rng, (8, 9, 10, 11, 12, 14))
    font, bold = pen.font(size), pen.font(size)
    height, width = round(size * _between(rng, 1.5, 2.2)), round(size * _between(rng, 5, 8))
    rules, bands = rng.random() < 0.7, rng.random() < 0.6
    first = int(_between(rng, 10, 40))
    pen.box(0, first, pen.side, first + height, _colour(rng, (0.3, 0.6), (0.3, 1)))
    for row, y in enumerate(range(first, pen.side + height, height)):
        if bands and row and row % 2 == 0:
            pen.box(0, y, pen.side, y + height, band)
        for column, x in enumerate(range(0, pen.side, width)):
            base = y + height * 0.7
            if row == 0:
                pen.text(x + 4, base, _word(rng).capitalize()[:7], bold, (255, 255, 255))
            elif column == 0:
                pen.text(x + 4, base, _word(rng).capitalize()[:8], font, ink)
            else:
                pen.text(x + width - 5, base, _number(rng)[:8], font, ink, anchor="rs")
            if rules:
                pen.line([(x + 0.5, first), (x + 0.5, pen.side)], rule, 1)
        if rules:
            pen.line([(0, y + 0.5), (pen.side, y + 0.5)], rule, 1)


def _chart(pen):
    """Charts: curves with a legend, bars, points, a pie."""
    rng = pen.rng
    dark = rng.random() < 0.25
    paper = _colour(rng, (0.05, 0.15), (0, 0.3)) if dark else _pick(rng, ((255, 255, 255), _colour(rng, (0.93, 1))))
    ink, faint = ((230, 230, 230), (80, 80, 80)) if dark else ((20, 20, 20), (210, 210, 210))
    pen.box(0, 0, pen.side, pen.side, paper)
    cells = _pick(rng, ([(0, 0, 1, 1)], [(0, 0, 1, 0.5), (0, 0.5, 1, 1)],
                        [(0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)]))
    size = 10 if len(cells) < 4 else 8
    font = pen.font(size)
    for cell in cells:
        left, top, right, bottom = np.array(cell) * pen.side + [34, 22, -10, -24]
        inks = [_colour(rng, (0.35, 0.65), (0.5, 1)) for _ in range(5)]
        pen.text((left + right) / 2, top - 7, _words(rng, 2).capitalize(), font, ink, anchor="ms")
        kind = rng.integers(4)
        if kind == 3:
            angle, middle, radius = 0, ((left + right) / 2, (top + bottom) / 2), min(right - left, bottom - top) / 2
            for share, colour in zip(rng.dirichlet(np.ones(5)) * 360, inks, strict=True):
                pen.wedge(*middle, radius, angle, angle + share, colour)
                angle += share
            pen.disc(*middle, radius, None, paper, 1.5)
            continue
        for k in range(6):
            y, x = bottom + (top - bottom) * k / 5, left + (right - left) * k / 5
            pen.line([(left, y), (right, y)], faint, 0.6)
            pen.text(left - 4, y + size / 3, _number(rng)[:5], font, ink, anchor="rs")
            pen.line([(x, bottom), (x, bottom + 3)], ink, 0.8)
            pen.text(x, bottom + 4 + size, str(k * 10), font, ink, anchor="ms")
        if kind == 0:
            for colour in inks[:rng.integers(2, 6)]:
                y = _smooth(rng, 120, 1, rng.integers(4, 40))
                y = bottom + (top - bottom) * (0.1 + 0.8 * (y - y.min()) / max(np.ptp(y), 1e-6))
                pen.line(np.stack([np.linspace(left, right, 120), y], 1), colour, _pick(rng, (0.7, 1, 1.5, 2, 3)))
        elif kind == 1:
            count = rng.integers(4, 14)
            step = (right - left) / count
            for k in range(count):
                height = (bottom - top) * rng.random()
                pen.box(left + step * (k + 0.15), bottom - height, left + step * (k + 0.85), bottom, inks[k % 3])
        else:
            for colour in inks[:3]:
                middle, spread = rng.random(2), _between(rng, 0.05, 0.3)
                for x, y in np.clip(rng.normal(middle, spread, (60, 2)), 0.02, 0.98):
                    pen.disc(left + (right - left) * x, bottom + (top - bottom) * y, 2, colour)
        pen.line([(left, top), (left, bottom), (right, bottom)], ink, 1)


def _icons(pen):
    """Rows of icons in tiles of colour, with labels."""
    rng = pen.rng
    pen.box(0, 0, pen.side, pen.side, _colour(rng, (0.05, 1), (0, 0.4)))
    step = _pick(rng, (32, 48, 64, 96))
    size, font = step * 0.5, pen.font(max(step / 7, 6))
    outlined = rng.random() < 0.3
    for y in range(4, pen.side, step):
        for x in range(4, pen.side, step):
            paper = _colour(rng, (0.15, 0.9), (0.3, 1))
            ink = (255, 255, 255) if sum(paper) < 380 else _colour(rng, (0, 0.3))
            edge, radius = ink if outlined else None, _pick(rng, (0, step * 0.2))
            pen.box(x, y, x + step * 0.85, y + step * 0.85, paper, edge, 1.5, radius)
            _icon(pen, x + step * 0.17, y + step * 0.08, size, ink, paper)
            pen.text(x + step * 0.42, y + step * 0.78, _word(rng)[:7], font, ink, anchor="ms")


def _scan(pen):
    """A page as a scanner gives it: tilted, on uneven paper, ink that bleeds, some noise and stains."""
    rng = pen.rng
    _page(pen, (255, 255, 255), (0, 0, 0))
    page = pen.finished().convert("L").rotate(_between(rng, -4, 4), Image.Resampling.BICUBIC, fillcolor=255)
    ink = np.asarray(page.filter(ImageFilter.GaussianBlur(_between(rng, 0.3, 0.8))), np.float32)[..., None] / 255
    paper = np.float32(_colour(rng, (0.82, 0.95), (0.1, 0.6))) * (0.88 + 0.12 * _clouds(rng, pen.side, 1.3)[..., None])
    dark = np.float32(_colour(rng, (0.05, 0.25), (0, 0.4)))
    noise = rng.normal(0, _between(rng, 0.5, 4), (pen.side, pen.side, 1))
    pen.scale, pen.image = 1, _picture(paper * ink + dark * (1 - ink) + noise)


def _map(pen):
    """A map: blocks, water, roads with casings, names, marks."""
    rng = pen.rng
    pen.box(0, 0, pen.side, pen.side, _colour(rng, (0.88, 0.96), (0.1, 0.5)))
    block, edge = _colour(rng, (0.78, 0.88), (0, 0.4)), _colour(rng, (0.55, 0.75), (0, 0.3))
    step = _pick(rng, (22, 30, 44))
    angle = _between(rng, -0.6, 0.6)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    for gx in range(-pen.side // step, 2 * pen.side // step):
        for gy in range(-pen.side // step, 2 * pen.side // step):
            low = np.array([gx, gy]) * step + rng.uniform(2, 4, 2)
            high = np.array([gx + 1, gy + 1]) * step - rng.uniform(2, 4, 2)
            if rng.random() < 0.85:
                fill = block if rng.random() < 0.88 else _colour(rng, (0.7, 0.85), (0.4, 0.8))
                pen.shape(np.array([low, (high[0], low[1]), high, (low[0], high[1])]) @ turn, fill, edge, 0.6)
    x = np.linspace(-10, pen.side + 10, 80)
    river = np.stack([x, _between(rng, 0, pen.side) + _smooth(rng, 80, 14, 9)], 1)
    pen.line(river, _colour(rng, (0.6, 0.8), (0.6, 1)), _between(rng, 12, 34))
    for _ in range(rng.integers(2, 5)):
        road = np.stack([x, _between(rng, 0, pen.side) + _smooth(rng, 80, 10, 7)], 1)
        road = road if rng.random() < 0.5 else road[:, ::-1]
        width = _between(rng, 3, 9)
        pen.line(road, _colour(rng, (0.4, 0.6), (0.2, 0.8)), width + 1.6)
        pen.line(road, _pick(rng, ((255, 255, 255), _colour(rng, (0.7, 0.85), (0.6, 1)))), width)
    for _ in range(rng.integers(8, 24)):
        px, py = rng.uniform(0, pen.side, 2)
        font, ink = pen.font(_pick(rng, (7, 8, 9, 11, 14))), _colour(rng, (0.1, 0.35), (0, 0.5))
        pen.text(px, py, _words(rng, rng.integers(1, 3)).title(), font, ink, stroke=1, stroke_fill=(255, 255, 255))
        if rng.random() < 0.4:
            pen.disc(px - 5, py - 3, 2.5, _colour(rng, (0.3, 0.5), (0.5, 1)), (255, 255, 255), 0.8)


def _diagram(pen):
    """Boxes and arrows with labels."""
    rng = pen.rng
    dark = rng.random() < 0.3
    paper = _colour(rng, (0.08, 0.2) if dark else (0.93, 1), (0, 0.4))
    ink = (235, 235, 235) if dark else (25, 25, 30)
    pen.box(0, 0, pen.side, pen.side, paper)
    size = _pick(rng, (8, 9, 10, 12))
    font, width = pen.font(size), _pick(rng, (0.7, 1, 1.5, 2))
    nodes = [(60 + 110 * (k % 3) + rng.integers(-15, 15), 40 + 75 * (k // 3) + rng.integers(-12, 12))
             for k in range(15)]
    for _ in range(22):
        (x0, y0), (x1, y1) = _pick(rng, nodes), _pick(rng, nodes)
        if rng.random() < 0.6:
            pen.line([(x0, y0), (x1, y0), (x1, y1)], ink, width)
        else:
            pen.line([(x0, y0), (x1, y1)], ink, width)
    for x, y in nodes:
        fill = paper if rng.random() < 0.5 else _colour(rng, (0.2, 0.4) if dark else (0.75, 0.9), (0.3, 0.9))
        word, w, h = _word(rng)[:9], _between(rng, 28, 42), _between(rng, 12, 22)
        kind = rng.integers(4)
        if kind == 0:
            pen.shape([(x - w - 6, y), (x, y - h - 6), (x + w + 6, y), (x, y + h + 6)], fill, ink, width)
        elif kind == 1:
            pen.disc(x, y, w * 0.7, fill, ink, width)
        else:
            pen.box(x - w, y - h, x + w, y + h, fill, ink, width, _pick(rng, (0, 4, 10)))
        pen.shape([(x - 4, y - h - 7), (x + 4, y - h - 7), (x, y - h)], ink)
        pen.text(x, y + size * 0.35, word, font, ink, anchor="ms")


def _face(pen, x, y, size, ink, width):
    """A drawn head: hair, eyes, brows, nose, mouth, shoulders."""
    rng = pen.rng
    skin = _pick(rng, ((243, 208, 178), (224, 172, 138), (170, 116, 80), (104, 68, 48), _colour(rng, (0.4, 0.85))))
    hair = _colour(rng, (0.05, 0.7), (0.2, 0.8))
    shoulders = [(x + a * size, y + b * size) for a, b in ((-1, 2), (-0.6, 1), (0.6, 1), (1, 2))]
    pen.shape(shoulders, _colour(rng, (0.2, 0.7), (0.5, 1)), ink, width)
    pen.disc(x, y - size * 0.15, size * 0.88, hair, ink, width)
    turns = np.linspace(0, 2 * math.pi, 60)
    chin = 1 + 0.15 * np.maximum(np.sin(turns), 0) ** 2
    pen.shape(np.stack([x + size * 0.72 * np.cos(turns), y + size * 0.85 * chin * np.sin(turns)], 1), skin, ink, width)
    fringe = [(x + size * a, y - size * (0.35 + 0.25 * rng.random())) for a in np.linspace(0.62, -0.62, 9)]
    crown = [(x - size * 0.66, y - size * 0.45), (x, y - size), (x + size * 0.66, y - size * 0.45)]
    pen.shape([*crown, *fringe], hair, ink, width)
    look = _between(rng, -0.06, 0.06)
    for side in (-1, 1):
        pen.disc(x + side * size * 0.3, y, size * 0.15, (255, 255, 255), ink, width * 0.7)
        pen.disc(x + (side * 0.3 + look) * size, y, size * 0.07, ink)
        brow = (x + side * size * 0.15, y - size * 0.25), (x + side * size * 0.45, y - size * _between(rng, 0.2, 0.35))
        pen.line(brow, ink, width * 1.4)
    pen.line([(x, y), (x + size * 0.1, y + size * 0.28), (x - size * 0.03, y + size * 0.3)], ink, width * 0.8)
    curve, span = _between(rng, -0.12, 0.16), np.linspace(-1, 1, 20)
    pen.line(np.stack([x + span * size * 0.25, y + size * (0.55 - curve * span ** 2)], 1), ink, width)


def _comic(pen):
    """Panels in flat colours with ink outlines: heads, speech, rays, hatching."""
    rng = pen.rng
    ink = _colour(rng, (0, 0.12), (0, 0.6))
    pen.box(0, 0, pen.side, pen.side, (255, 255, 255) if rng.random() < 0.7 else ink)
    across, down = _pick(rng, ((1, 1), (2, 1), (1, 2), (2, 2), (3, 2)))
    grey = rng.random() < 0.25
    for row in range(down):
        for column in range(across):
            panel = Pen(rng, pen.fonts, _colour(rng, (0.5, 0.9), (0.4, 1)), pen.scale, pen.side)
            width, height = pen.side / across - 8, pen.side / down - 8
            middle, kind = rng.uniform(0.3, 0.7, 2) * [width, height], rng.integers(3)
            if kind == 0:
                light = _colour(rng, (0.6, 0.95), (0.4, 1))
                for turn in np.arange(0, 2 * math.pi, 0.2):
                    reach = np.array([[math.cos(a), math.sin(a)] for a in (turn, turn + 0.1)]) * 600
                    panel.shape([middle, middle + reach[0], middle + reach[1]], light)
            elif kind == 1:
                for k in range(6):
                    x = np.linspace(0, pen.side, 60)
                    y = height * (0.35 + 0.12 * k) + _smooth(rng, 60, 10, 12)
                    fill = _colour(rng, (0.2 + 0.1 * k, 0.3 + 0.1 * k), (0.4, 1))
                    panel.shape([*np.stack([x, y], 1), (pen.side, pen.side), (0, pen.side)], fill, ink, 1.2)
            else:
                for x in np.arange(0, width, _between(rng, 3, 7)):
                    panel.line([(x, 0), (x + height * 0.4, height)], ink, _between(rng, 0.4, 1.2))
            size = min(width, height) * _between(rng, 0.22, 0.45)
            line = max(size / 30, 0.8)
            for _ in range(rng.integers(1, 3)):
                _face(panel, *(rng.uniform(0.25, 0.75, 2) * [width, height] + [0, size * 0.4]), size, ink, line)
            if rng.random() < 0.8:
                font = pen.font(_pick(rng, (9, 11, 13)))
                words = _words(rng, 3).upper()
                w, x, y = panel.length(words, font) / 2 + 12, width * 0.5, 26
                panel.shape([(x - 10, y + 6), (x + 10, y + 6), (x - 6, y + 34)], (255, 255, 255), ink, line)
                panel.box(x - w, y - 14, x + w, y + 12, (255, 255, 255), ink, line, 13)
                panel.shape([(x - 9, y + 5), (x + 9, y + 5), (x - 5, y + 28)], (255, 255, 255))
                panel.text(x, y + 4, words, font, ink, anchor="ms")
            left, top = 4 + column * pen.side / across, 4 + row * pen.side / down
            pen.stick(panel, (left, top), (width, height))
            pen.box(left, top, left + width, top + height, None, ink, _pick(rng, (1.5, 2.5)))
    if grey:
        pen.image = pen.image.convert("L").convert("RGB")


def _circuit(pen):
    """A circuit board: traces that turn by 45 degrees, pads, chips, names."""
    rng = pen.rng
    board = _colour(rng, (0.12, 0.3), (0.5, 1))
    trace, gold, silk = _colour(rng, (0.3, 0.5), (0.4, 1)), _colour(rng, (0.55, 0.75), (0.3, 0.7)), (225, 230, 225)
    pen.box(0, 0, pen.side, pen.side, board)
    step = _pick(rng, (5, 7, 9))
    for _ in range(70):
        x, y = rng.integers(0, pen.side // step, 2) * step
        points, turn = [(x, y)], rng.integers(8)
        for _ in range(rng.integers(2, 6)):
            length = rng.integers(2, 14) * step
            x += round(math.cos(turn * math.pi / 4)) * length
            y += round(math.sin(turn * math.pi / 4)) * length
            points.append((x, y))
            turn += _pick(rng, (-1, 1))
        pen.line(points, trace, _pick(rng, (0.8, 1.2, 2)))
        for x, y in (points[0], points[-1]):
            pen.disc(x, y, step * 0.4, gold)
            pen.disc(x, y, step * 0.18, board)
    for _ in range(rng.integers(3, 7)):
        x, y = rng.integers(0, pen.side, 2)
        w, h = rng.integers(4, 12, 2) * step
        for k in range(0, w, step):
            pen.box(x + k + 1, y - step, x + k + 1 + step * 0.5, y + h + step, (190, 190, 185))
        pen.box(x, y, x + w, y + h, (28, 28, 32), (60, 60, 64), 0.8)
        pen.text(x + 4, y + h / 2 + 3, _word(rng).upper()[:6] + _number(rng)[:3], pen.font(8), silk)
        pen.disc(x + 5, y + 5, 1.6, (90, 90, 90))


def _blueprint(pen):
    """A technical drawing: thin light lines on blue, dimensions, circles, hatching."""
    rng = pen.rng
    paper, ink = _colour(rng, (0.2, 0.4), (0.6, 1)), _colour(rng, (0.85, 1), (0, 0.5))
    if rng.random() < 0.3:
        paper, ink = (252, 252, 248), (20, 20, 25)
    pen.box(0, 0, pen.side, pen.side, paper)
    faint = tuple((4 * p + i) // 5 for p, i in zip(paper, ink, strict=True))
    for k in range(0, pen.side, _pick(rng, (8, 12, 16))):
        pen.line([(k, 0), (k, pen.side)], faint, 0.5)
        pen.line([(0, k), (pen.side, k)], faint, 0.5)
    font = pen.font(_pick(rng, (7, 8, 9)))
    for _ in range(rng.integers(6, 12)):
        x, y = rng.uniform(20, pen.side - 80, 2)
        w, h = rng.uniform(30, 140, 2)
        kind, width = rng.integers(4), _pick(rng, (0.6, 1, 1.6))
        if kind == 0:
            pen.box(x, y, x + w, y + h, None, ink, width)
            for k in np.arange(0, w + h, 6):
                pen.line([(x + min(k, w), y + max(0, k - w)), (x + max(0, k - h), y + min(k, h))], ink, 0.5)
        elif kind == 1:
            for r in np.linspace(w / 8, w / 2, rng.integers(2, 6)):
                pen.disc(x, y, r, None, ink, width)
            pen.line([(x - w * 0.6, y), (x + w * 0.6, y)], ink, 0.5)
            pen.line([(x, y - w * 0.6), (x, y + w * 0.6)], ink, 0.5)
        else:
            pen.box(x, y, x + w, y + h, None, ink, width)
            pen.box(x + w * 0.2, y + h * 0.2, x + w * 0.8, y + h * 0.8, None, ink, width / 2, _pick(rng, (0, 6)))
        for end in (-1, 1):
            tip = x + w * (end > 0)
            pen.shape([(tip, y + h + 9), (tip - end * 5, y + h + 7), (tip - end * 5, y + h + 11)], ink)
        pen.line([(x, y + h + 9), (x + w, y + h + 9)], ink, 0.5)
        pen.text(x + w / 2, y + h + 7, _number(rng), font, ink, anchor="ms")


def _halftone(pen):
    """Print seen close: dots of four inks, each turned by its own angle, from a smooth picture."""
    rng = pen.rng
    side, scale = pen.side, pen.scale
    y, x = _grid(side, scale)
    inks = np.array([[0, 160, 225], [225, 0, 130], [255, 235, 0], [20, 20, 25]]) / 255
    pitch, values = _between(rng, 3.5, 9), np.ones((side * scale, side * scale, 3), np.float32)
    for ink, degrees in zip(inks, (15, 75, 0, 45), strict=True):
        tone = _enlarged(_clouds(rng, side // 4, 1.5), side * scale)
        a = math.radians(degrees)
        u, v = (x * math.cos(a) + y * math.sin(a)) / pitch, (y * math.cos(a) - x * math.sin(a)) / pitch
        dots = (np.cos(2 * math.pi * u) + np.cos(2 * math.pi * v)) / 4 + 0.5
        values *= np.where((dots < tone * 0.9)[..., None], ink, 1).astype(np.float32)
    pen.image = _picture(255 * values)
    pen._draw = ImageDraw.Draw(pen.image)
    if rng.random() < 0.6:
        pen.text(20, side * 0.6, _word(rng).upper(), pen.font(_between(rng, 40, 90)), (20, 20, 25))


def _sign(pen):
    """Signs in a street by day: plates with borders, arrows, large letters, on a wall or sky."""
    rng = pen.rng
    low, high = np.float32(_colour(rng, (0.3, 0.6), (0, 0.4))), np.float32(_colour(rng, (0.5, 0.9), (0, 0.5)))
    t = _clouds(rng, pen.side, 0.9)[..., None]
    pen.paint(_picture(low * (1 - t) + high * t))
    if rng.random() < 0.5:  # bricks
        height, mortar = _pick(rng, (10, 14, 20)), _colour(rng, (0.55, 0.8), (0, 0.2))
        brick = _between(rng, 0.25, 0.5), _between(rng, 0.2, 0.7)
        pen.box(0, 0, pen.side, pen.side, mortar)
        for row, y in enumerate(range(0, pen.side, height)):
            for x in range(-height * 2 * (row % 2), pen.side, height * 4):
                tone = np.clip(brick[0] + rng.normal(0, 0.04), 0.05, 0.9)
                fill = tuple(int(255 * tone * c) for c in (1.3, 0.8 + 0.3 * (1 - brick[1]), 0.7))
                pen.box(x + 0.8, y + 0.8, x + height * 4 - 0.8, y + height - 0.8, tuple(min(255, c) for c in fill))
    for _ in range(rng.integers(2, 5)):
        w, h = _between(rng, 90, 260), _between(rng, 50, 130)
        x, y = rng.uniform(-20, pen.side - 100, 2)
        plate, ink = _pick(rng, ((_colour(rng, (0.2, 0.45), (0.7, 1)), (255, 255, 255)),
                                 (_colour(rng, (0.5, 0.6), (0.8, 1)), (10, 10, 10)), ((250, 250, 250), (180, 20, 30))))
        if rng.random() < 0.3:
            r = h * 0.6
            pen.line([(x, y), (x, pen.side)], (110, 112, 115), 5)
            pen.disc(x, y, r, (250, 250, 250))
            pen.disc(x, y, r * 0.94, None, _colour(rng, (0.35, 0.5), (0.8, 1)), r * 0.18)
            pen.text(x, y + r * 0.3, str(10 * rng.integers(1, 13)), pen.font(r * 0.85), (10, 10, 10), anchor="ms")
            continue
        pen.line([(x + w / 2, y), (x + w / 2, pen.side)], (120, 122, 125), 6)
        pen.box(x, y, x + w, y + h, plate, radius=8)
        pen.box(x + 3, y + 3, x + w - 3, y + h - 3, None, ink, 1.6, 6)
        size = h * _between(rng, 0.25, 0.42)
        pen.text(x + 12, y + h * 0.45, _word(rng).title(), pen.font(size), ink)
        pen.text(x + 12, y + h * 0.85, f"{_word(rng)} {rng.integers(1, 90)}", pen.font(size * 0.8), ink)
        ax, ay, s = x + w - h * 0.4, y + h / 2, h * 0.25
        pen.line([(ax, ay + s), (ax, ay - s * 0.5)], ink, s * 0.35)
        pen.shape([(ax, ay - s), (ax - s * 0.6, ay - s * 0.2), (ax + s * 0.6, ay - s * 0.2)], ink)


def _engraving(pen):
    """Line art: tones made of lines alone, hatched, waved or in rings."""
    rng, side, scale = pen.rng, pen.side, pen.scale
    y, x = _grid(side, scale)
    tone = _enlarged(_clouds(rng, side // 2, 1.4), side * scale)
    pitch, kind, a = _between(rng, 3, 8), rng.integers(3), _between(rng, 0, math.pi)
    if kind == 0:
        phase = x * math.cos(a) + y * math.sin(a) + 12 * tone
    elif kind == 1:
        phase = np.hypot(x - _between(rng, 0, side), y - _between(rng, 0, side))
    else:
        phase = y + 6 * np.sin(x / _between(rng, 10, 40)) + 40 * tone
    line = np.abs((phase / pitch) % 1 - 0.5) * 2 < 0.12 + 0.75 * tone
    if rng.random() < 0.5:
        cross = np.abs(((x - y) / pitch) % 1 - 0.5) * 2 < 0.5
        line |= cross & (tone > 0.6)
    paper, ink = np.float32(_colour(rng, (0.9, 1), (0, 0.5))), np.float32(_colour(rng, (0, 0.25), (0, 0.8)))
    pen.image = _picture(np.where(line[..., None], ink, paper))


def _testcard(pen):
    """Test patterns: stars, rings whose frequency rises, gratings, checks, ramps, steps."""
    rng, side, scale = pen.rng, pen.side, pen.scale
    count = _pick(rng, (2, 3, 4))
    cell = side // count
    y, x = _grid(cell, scale)
    y, x = y - cell / 2, x - cell / 2
    for row in range(count):
        for column in range(count):
            low, high = _colour(rng, (0, 0.4), (0, 1)), _colour(rng, (0.6, 1), (0, 1))
            if rng.random() < 0.5:
                low, high = (0, 0, 0), (255, 255, 255)
            kind, a = rng.integers(6), _between(rng, 0, math.pi)
            if kind == 0:
                t = np.cos(np.arctan2(y, x) * rng.integers(8, 36)) > 0
            elif kind == 1:
                t = 0.5 + 0.5 * np.cos((x ** 2 + y ** 2) * _between(rng, 0.3, 0.8) * math.pi / cell)
            elif kind == 2:
                t = np.cos((x * math.cos(a) + y * math.sin(a)) * 2 * math.pi / _between(rng, 2.5, 12)) > 0
            elif kind == 3:
                p = _between(rng, 3, 16)
                u, v = x * math.cos(a) + y * math.sin(a), y * math.cos(a) - x * math.sin(a)
                t = (np.floor(u / p) + np.floor(v / p)) % 2
            elif kind == 4:
                t = np.floor((x + cell / 2) / cell * 12) / 12
            else:
                t = (x * math.cos(a) + y * math.sin(a)) > 0
            t = t.astype(np.float32)[..., None]
            part = _picture(np.float32(low) * (1 - t) + np.float32(high) * t)
            pen.paint(part, (column * cell, row * cell, (column + 1) * cell, (row + 1) * cell))


def _night(pen):
    """A street at night: lit windows, lamps and signs that glow, wet ground that mirrors them, a camera's noise."""
    rng, side = pen.rng, pen.side
    pen.paint(_gradient(rng, side, (_colour(rng, (0.01, 0.05), (0, 1)), _colour(rng, (0.05, 0.16), (0, 1)))))
    ground = side * _between(rng, 0.62, 0.78)
    for _ in range(rng.integers(0, 60)):
        pen.disc(*rng.uniform(0, [side, ground * 0.6]), _between(rng, 0.2, 0.7), (int(_between(rng, 60, 220)),) * 3)
    x, warm = -20, (255, 205, 130)
    while x < side:
        width, top = rng.integers(50, 120), ground * _between(rng, 0.05, 0.6)
        wall = _colour(rng, (0.03, 0.14), (0, 0.6))
        pen.box(x, top, x + width, ground, wall)
        w, h, lit = _pick(rng, (6, 9, 12)), _pick(rng, (8, 12, 16)), _between(rng, 0.15, 0.7)
        for wy in np.arange(top + 6, ground - 40, h * 1.6):
            for wx in np.arange(x + 5, x + width - w, w * 1.6):
                fill = tuple(v // 2 for v in wall)
                if rng.random() < lit:
                    fill = _dimmed(warm, _between(rng, 0.3, 1)) if rng.random() < 0.8 else _colour(rng, (0.4, 0.8))
                pen.box(wx, wy, wx + w, wy + h, fill)
                pen.line([(wx + w / 2, wy), (wx + w / 2, wy + h)], wall, 0.8)
        if rng.random() < 0.8:  # a shop and its sign
            pen.box(x + 6, ground - 30, x + width - 6, ground - 2, _dimmed(warm, rng.uniform(0.6, 1, 3)))
            for k in np.arange(x + 12, x + width - 12, 14):
                pen.box(k, ground - 26, k + 8, ground - 4, _colour(rng, (0.2, 0.7), (0, 0.8)))
            neon, word = _colour(rng, (0.5, 0.75), (0.9, 1)), _word(rng).upper()[:7]
            font = pen.font(_between(rng, 12, 22))
            pen.blurred(4, lambda p, x=x, w=word, f=font: p.text(x + 8, ground - 36, w, f, (255, 255, 255)), neon)
            pen.text(x + 8, ground - 36, word, font, tuple((255 + 2 * v) // 3 for v in neon))
        x += width + rng.integers(-2, 16)
    pen.box(0, ground, side, side, _colour(rng, (0.03, 0.1), (0, 0.4)))
    lamps = [(_between(rng, 0, side), ground - _between(rng, 70, 130)) for _ in range(rng.integers(2, 5))]
    for lx, ly in lamps:
        pen.line([(lx, ground + 8), (lx, ly), (lx + 12, ly - 4)], (30, 30, 32), 2)
    for radius, part in ((22, 0.8), (7, 0.9)):
        glow = _dimmed(warm, part)
        discs = [(lx + 12, ly, radius * 1.2, (255, 255, 255)) for lx, ly in lamps]
        pen.blurred(radius, lambda p, discs=discs: [p.disc(*disc) for disc in discs], glow)
    for lx, ly in lamps:
        pen.disc(lx + 12, ly, 3, (255, 250, 235))
    for _ in range(rng.integers(2, 7)):  # people, as outlines before the light
        px, size = _between(rng, 0, side), _between(rng, 14, 26)
        base, cloth = ground + _between(rng, 2, 26), _colour(rng, (0.02, 0.12), (0, 0.8))
        pen.disc(px, base - size * 2.3, size * 0.22, cloth)
        pen.box(px - size * 0.3, base - size * 2.05, px + size * 0.3, base - size * 0.9, cloth, radius=size * 0.2)
        for end in (-1, 1):
            pen.line([(px, base - size), (px + end * size * 0.25, base)], cloth, size * 0.25)
    picture = np.asarray(pen.finished(), np.float32).copy()
    cut = round(ground) + 8
    mirror = picture[cut - 1::-1][:side - cut]
    ripple = (np.arange(len(mirror))[:, None] + np.rint(_smooth(rng, side, 1.5, 40)).astype(int)) % max(len(mirror), 1)
    picture[cut:cut + len(mirror)] += 0.4 * np.take_along_axis(mirror, ripple[..., None], 0)
    noise = _pick(rng, (0, 0, 1.5, 3))
    pen.scale, pen.image = 1, _picture(picture + rng.normal(0, 1, picture.shape) * noise)


def _spheres(pen):
    """Traced spheres above a tiled floor under a sky: shading, highlights, mirrors, shadows, textures."""
    rng, side, scale = pen.rng, pen.side, pen.scale
    y, x = _grid(side, scale)
    ray = np.stack([(x - side / 2) / side, (side * 0.42 - y) / side, np.full_like(x, 0.9)], -1).astype(np.float32)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    light = np.float32([_between(rng, -1, 1), _between(rng, 0.6, 1.5), -0.7])
    light /= np.linalg.norm(light)
    sky = [np.float32(_colour(rng, (0.3, 0.95), (0.2, 1))) for _ in range(2)]
    floor = [np.float32(_colour(rng, (0.05, 0.95))) for _ in range(2)]
    balls = []
    for _ in range(rng.integers(5, 9)):
        radius = _between(rng, 0.25, 0.8)
        middle = np.float32([_between(rng, -2, 2), radius - 1, _between(rng, 2.2, 6)])
        tint = np.float32(_colour(rng, (0.3, 0.7), (0.3, 1)))
        balls.append((middle, radius, tint, rng.integers(4), _between(rng, 4, 14)))

    def hit(origin, way):
        """Distance to the nearest ball along rays, and its number (-1: none)."""
        best, which = np.full(way.shape[:-1], np.inf, np.float32), np.full(way.shape[:-1], -1)
        for k, (middle, radius, *_) in enumerate(balls):
            offset = origin - middle
            b = (offset * way).sum(-1)
            d = b * b - (offset * offset).sum(-1) + radius * radius
            t = -b - np.sqrt(np.maximum(d, 0))
            near = (d > 0) & (t > 1e-3) & (t < best)
            best, which = np.where(near, t, best), np.where(near, k, which)
        return best, which

    def colour(origin, way, depth):
        """What rays see, [..., 3]."""
        up = np.clip(way[..., 1:2], 0, 1)
        seen = sky[0] * (1 - up) + sky[1] * up
        t = np.where(way[..., 1] < -1e-4, (-1 - origin[..., 1]) / np.minimum(way[..., 1], -1e-4), np.inf)
        on_floor = (t > 1e-3) & (t < 60)
        place = origin + way * np.where(on_floor, t, 0)[..., None]
        checks = (np.floor(place[..., :1] * 2) + np.floor(place[..., 2:] * 2)) % 2
        shade = np.where(hit(place, np.broadcast_to(light, place.shape))[1] >= 0, 0.45, 1)[..., None]
        tiles = (floor[0] * checks + floor[1] * (1 - checks)) * shade
        haze = np.exp(-0.06 * np.where(on_floor, t, 0))[..., None]
        seen = np.where(on_floor[..., None], tiles * haze + sky[0] * (1 - haze), seen)
        distance, which = hit(origin, way)
        for k, (middle, radius, tint, kind, pitch) in enumerate(balls):
            on = (which == k) & (distance < np.where(on_floor, t, np.inf))
            if not on.any():
                continue
            start = origin[on] if origin.ndim > 1 else origin
            place = start + way[on] * distance[on][..., None]
            normal = (place - middle) / radius
            facing = np.clip(normal @ light, 0, 1)[:, None]
            if kind == 1:
                stripes = np.sin(normal[:, 1:2] * pitch * 2) > 0
                base = np.where(stripes, tint, 255 - tint)
            elif kind == 2:
                bent = 3 * np.sin(normal[:, 1:2] * pitch) + 2 * np.sin(normal[:, 2:] * pitch)
                grain = np.sin(normal[:, :1] * pitch + bent)
                base = tint * (0.75 + 0.25 * grain)
            else:
                base = np.broadcast_to(tint, normal.shape)
            value = base * (0.3 + 0.7 * facing)
            bounce = way[on] - 2 * (way[on] * normal).sum(-1, keepdims=True) * normal
            if kind == 3 and depth:
                value = 0.25 * value + 0.75 * colour(place, bounce, depth - 1)
            seen[on] = value + 180 * np.clip(bounce @ light, 0, 1)[:, None] ** 40
        return seen

    pen.image = _picture(colour(np.zeros(3, np.float32), ray, 1))


def _leaves(pen):
    """Dead leaves: shapes of all sizes that hide one another, plain, shaded or striped: edges as nature has them."""
    rng = pen.rng
    pen.box(0, 0, pen.side, pen.side, _colour(rng))
    palette = [_colour(rng, (0.05, 0.95), (0, 0.9)) for _ in range(8)]
    for _ in range(900):
        radius = min(3 / max(rng.random(), 1e-3) ** 0.6, 90)
        x, y = rng.uniform(-20, pen.side + 20, 2)
        base = np.array(_pick(rng, palette))
        fill = tuple(int(v) for v in np.clip(base + rng.normal(0, 18, 3), 0, 255))
        kind = rng.integers(4)
        if kind == 0:
            pen.disc(x, y, radius, fill)
            continue
        corners = rng.integers(3, 8) if kind == 1 else 40
        turns = np.sort(rng.uniform(0, 2 * math.pi, corners)) if kind == 1 else np.linspace(0, 2 * math.pi, corners)
        stretch, lean = _between(rng, 0.3, 1), _between(rng, 0, math.pi)
        wave = radius * (1 if kind == 1 else 1 + 0.2 * np.sin(turns * rng.integers(2, 7)))
        a, b = wave * np.cos(turns), wave * np.sin(turns) * stretch
        points = np.stack([x + a * math.cos(lean) - b * math.sin(lean), y + a * math.sin(lean) + b * math.cos(lean)], 1)
        pen.shape(points, fill)
        if kind == 3 and radius > 8:  # veins
            vein = tuple(int(v) for v in np.clip(np.array(fill) * _pick(rng, (0.7, 1.3)), 0, 255))
            for k in range(0, corners, 4):
                pen.line([(x, y), points[k] * 0.8 + np.array([x, y]) * 0.2], vein, 0.6)


# The kinds and their supersampling: 1 is a screenshot, whose letters and lines lie on whole px.
KINDS = {
    "page": (_light_page, 4), "screen": (_screen, 1), "comic": (_comic, 4), "night": (_night, 3),
    "code": (_code, 1), "map": (_map, 4), "dark_page": (_dark_page, 4), "leaves": (_leaves, 3),
    "chart": (_chart, 3), "sign": (_sign, 4), "table": (_table, 1), "spheres": (_spheres, 3),
    "title_gradient": (_title_on_gradient, 3), "icons": (_icons, 4), "scan": (_scan, 4), "diagram": (_diagram, 4),
    "screen_fine": (_screen, 3), "title_photograph": (_title_on_photograph, 1), "circuit": (_circuit, 4),
    "engraving": (_engraving, 4), "blueprint": (_blueprint, 4), "halftone": (_halftone, 4), "testcard": (_testcard, 4),
}


def draw(number, *, seed=0, fonts=None, photographs=(), side=SIDE):
    """Draws one picture; kinds follow one another by its number.

    Args:
      number: which picture, 0 or more.
      seed: another seed gives other pictures of the same kinds.
      fonts: a `Fonts`; Pillow's own font alone if None.
      photographs: RGB pictures of at least `side` px, grounds of some of the pictures; clouds if there are none.
      side: side of the picture, px, 192 or more.

    Returns:
      (name, picture): name of the kind; RGB, 8 bit, side x side.
    """
    name = list(KINDS)[number % len(KINDS)]
    paint, scale = KINDS[name]
    pen = Pen(np.random.default_rng([seed, number]), fonts or Fonts(), "white", scale, side, photographs)
    paint(pen)
    return name, pen.finished()
