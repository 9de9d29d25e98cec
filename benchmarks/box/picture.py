"""Makes the picture at the head of README.md: a photograph before and after.

    python benchmarks/box/picture.py goldengate.png docs/before_after.jpg --part 200,120,150,150

The photograph, which no network was trained on, is made smaller by 2 and saved as JPEG of quality 75. Beside each other
stand a part of that file as it is enlarged by bicubic interpolation, as `jsr upscale` enlarges it, and of the original;
pixels are shown `--zoom` times as large as they are.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import jsr
from jsr import degradations, metrics
from jsr.degradations.enlarge import enlarge
from jsr.images import read_rgb

_GAP, _BAND = 8, 26  # px between panels, and above them


def panels(hr, model, quality):
    """{caption: uint8 picture of HR's size}."""
    upscaler = jsr.load(model)
    hr = degradations.crop_to_multiple(hr, upscaler.scale)
    lr = degradations.degrade(f"photo_x{upscaler.scale}", hr, quality=quality).decode()
    shown = {"bicubic": enlarge(lr, upscaler.scale, "pillow_bicubic"),
             f"jsr {model}": upscaler.told(quality).upscale(lr)}
    return {f"{name}, {metrics.psnr(picture, hr, profile='rgb'):.2f} dB": picture
            for name, picture in shown.items()} | {"original": hr}


def beside(found, part, zoom):
    """The panels as one uint8 picture: the part (x, y, width, height) of each, under its caption."""
    x, y, width, height = part
    font = ImageFont.load_default(16)
    sheet = Image.new("RGB", ((width * zoom + _GAP) * len(found) - _GAP, height * zoom + _BAND), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (caption, picture) in enumerate(found.items()):
        left = column * (width * zoom + _GAP)
        crop = picture[y:y + height, x:x + width].repeat(zoom, 0).repeat(zoom, 1)
        sheet.paste(Image.fromarray(crop), (left, _BAND))
        draw.text((left + 2, 2), caption, "black", font)
    return np.asarray(sheet)


def main():
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="x2")
    parser.add_argument("--quality", type=int, default=75, help="of the JPEG file, 1 to 100")
    parser.add_argument("--part", type=lambda text: tuple(map(int, text.split(","))), required=True,
                        metavar="X,Y,W,H", help="what is shown, HR px")
    parser.add_argument("--zoom", type=int, default=2, help="shown pixels for one of HR's")
    args = parser.parse_args()
    sheet = beside(panels(read_rgb(args.photograph), args.model, args.quality), args.part, args.zoom)
    Image.fromarray(sheet).save(args.out, quality=92, subsampling="4:4:4")


if __name__ == "__main__":
    main()
