"""The tables of loaders and of degradations, for the terminal and for a page; ">" aligns a column to the right."""

from rich.filesize import decimal

LOADERS = ("loader", ">median patches/s", ">best", ">on the fly / this", ">disk", ">of the PNG files")
DEGRADE = ("degradation", ">HR", ">images/s", ">best", ">decoded/s", ">LR bytes", "codecs")


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
