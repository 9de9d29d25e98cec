"""The tables of a page of figures, but for those of challenges; ">" aligns a column to the right."""

from rich.filesize import decimal

LOADERS = ("loader", ">median patches/s", ">best", ">on the fly / this", ">disk", ">of the PNG files")
DEGRADE = ("degradation", ">HR", ">images/s", ">best", ">decoded/s", ">LR bytes", "codecs")
_COLD_START = ("command", ">CPU s, least", ">all", ">programs compiled")
_CONVOLUTIONS = ("kernel, channels", ">jsr", ">XLA", ">PyTorch", ">gradients: jsr", ">XLA", ">PyTorch")
_COMPILED = ("program", "for", "compile effort", ">kernels", ">MB moved", ">of the least", ">estimated ms",
             ">compiling, CPU s")


def of_loader(row):
    """The texts of a row of `jsr.timing.loaders.measure`, for LOADERS."""
    return (row["name"], f"{row['patches_per_s']:,.0f}", f"{row['best_patches_per_s']:,.0f}", f"{row['ratio']:.2f}",
            decimal(row["bytes"]), f"{row['bytes_ratio']:.2f}")


def of_degradation(row):
    """The texts of a row of `jsr.timing.degrading.measure`, for DEGRADE."""
    if "note" in row:
        return f"{row['name']}: {row['note']}", *[""] * (len(DEGRADE) - 1)
    height, width = row["size"]
    rates = (f"{row[key]:,.1f}" for key in ("images_per_s", "best_images_per_s", "decoded_per_s"))
    clip = f", {row['frames']} frames" * (row["frames"] > 1)
    return row["name"], f"{height}x{width}{clip}", *rates, f"{row['lr_bytes']:,.0f}", row["codecs"]


def _of_cold_start(row):
    name = row["what"] if row["checkout"] == "here" else f"{row['what']}, the other checkout"
    return name, f"{row['least']:.2f}", " ".join(f"{each:.2f}" for each in row["all"]), f"{row.get('programs', '')}"


def _of_convolution(row):
    side, channels, features, groups = (row[key] for key in ("kernel", "channels", "features", "groups"))
    name = (f"{side}x{side}, {channels} to {features}" + f" in {groups} groups" * (groups > 1)
            + ", no padding" * (row.get("padding") == 0))
    return name, *(f"{row[what][whose]:,.2f}" for what in ("forward", "gradients") for whose in ("jsr", "xla", "torch"))


def _of_compiled(row):
    return (row["name"], row["on"], row["effort"], f"{row['kernels']:,}", f"{row['bytes'] / 1e6:,.0f}",
            f"{row['bytes_over_floor']:,.1f}", f"{row['ms']:,.3f}", f"{row['compile_cpu_s']:,.0f}")


TABLES = {  # "what" of a file: title, columns, function to the texts of a row
    "loaders": ("Loaders of training crops", LOADERS, of_loader),
    "degrade": ("Degradations", DEGRADE, of_degradation),
    "cold_start": ("CPU seconds from start to end", _COLD_START, _of_cold_start),
    "convolutions": ("Convolutions that jsr computes otherwise than XLA on a CPU, CPU ms", _CONVOLUTIONS,
                     _of_convolution),
    "compiled": ("Compiled programs; nothing was run", _COMPILED, _of_compiled),
}
