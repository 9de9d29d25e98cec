"""Scores compiled programs: bytes against the least that must be moved, kernels, estimated time. Nothing runs.

    python benchmarks/compiled.py --out benchmarks/compiled.json                        # every row, on one H200
    python benchmarks/compiled.py --on v5e:1 --rows casr,bicubicpp --out v5e.json --quick

Deployed networks pass a uint8 image of the challenge's size; training steps are those of their recipes. They are
compiled for accelerators that need not be there (`jsr plan`, which needs XLA's compiler for them: the extra "cuda" or
"tpu"). FILE is written anew after every row; rows of an earlier call that are not made again stay, so that a file holds
both chips. `--against OTHER` prints each row's ratios to the same row of another file.
"""

import argparse
import json
from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # before an installed jsr

NETWORKS = {  # recipe, LR size that gives a 4K image
    "casr": ("ais24:casr", (540, 960)),
    "bicubicpp": ("ntire23_x3:bicubicpp", (720, 1280)),
    "anunet": ("ais24:anunet", (540, 960)),
    "lanczospp": ("ais24:lanczospp", (540, 960)),
    "megastudy": ("ais24:megastudy", (540, 960)),
    "spanr": ("ais24:spanr", (540, 960)),
    "team_ov": ("ntire23_x2:team_ov", (1080, 1920)),
    "rt4ksr": ("ntire23_x2:rt4ksr", (1080, 1920)),
    "dfcdn": ("ntire23_x2:dfcdn", (1080, 1920)),
    "lrsrn": ("ntire23_x2:lrsrn", (1080, 1920)),
}
DEPLOYED = {name: (name, "xla") for name in NETWORKS} | {  # row: network, kernels
    f"{name} pallas": (name, "pallas") for name in ("casr", "bicubicpp")}
STEPS = {  # recipe, overrides; of the two large ones a part of their blocks, which all are alike
    "edsr": ("aim22_t1:edsr", {}),
    "ecb fused": ("ais24:quick", {}),
    "rrdbnet": ("aim22_t1:edsr", {"networks.sr.model": "rrdbnet/b23", "networks.sr.fields":
                                            "{'num_block': 4}", "stages[0].batch": "4"}),
    "hat": ("aim22_t1:cvlab", {"networks.sr.fields": "{'depths': [2], 'num_heads': [6]}"}),
}
HALF = {"tpu": "bfloat16", "cuda": "float16"}  # that deployed networks are computed in


def row(name, on, effort):
    """The row of a network or a step on a jsr.planning.Target, a dict of plain data."""
    from jsr import planning, recipes

    if name in DEPLOYED:
        network, kernels = DEPLOYED[name]
        (config, size), overrides = NETWORKS[network], {"dtype": HALF[on.chip.platform]}
        made = planning.of_deployed(recipes.load(config, overrides.items()), size, on, effort=effort, kernels=kernels)
        memory = made["memory"]
        floor = memory["parameters"] + memory["images"]
    else:
        config, overrides = STEPS[name]
        recipe = recipes.load(config, overrides.items())
        made = planning.of_step(recipe, 0, on, effort=effort)
        memory = made["memory"]
        crops = made["loader"]["bytes_per_s"] / made["loader"]["samples_per_s"] * made["per_chip"]
        floor = 2 * (memory["parameters"] + memory["average"] + memory["optimizer"]) + crops  # read and written once
    estimate = made["estimate"]
    return {"name": name, "on": on.text, "config": config, "overrides": overrides, "dtype": made["dtype"],
            **{key: made[key] for key in ("deployed", "batch", "crop") if key in made}, "effort": effort,
            "kernels": estimate["kernels"], "bytes": estimate["bytes"], "floor_bytes": round(floor),
            "bytes_over_floor": round(estimate["bytes"] / floor, 2), "ms": round(estimate["ms"], 4),
            "ms_by": estimate["by"], "kinds": estimate["kinds"], "temporaries": memory["temporaries"],
            "largest": estimate["dearest"][0], "compile_cpu_s": made["compile_cpu_s"], "versions": made["versions"]}


def line(made, other=None):
    """A row for people, beside the same row of another file where there is one."""
    def beside(key):
        return f" ({made[key] / other[key]:.2f} of it)" if other and other[key] else ""

    return (f"{made['name']} on {made['on']}: {made['kernels']} kernels{beside('kernels')}, {made['bytes'] / 1e6:,.0f} "
            f"MB{beside('bytes')}, {made['bytes_over_floor']:.1f} x the floor, {made['ms']:.3f} ms{beside('ms')}, "
            f"temporaries {made['temporaries'] / 1e6:,.0f} MB{beside('temporaries')}")


def main(argv=None):
    """The command line above."""
    known = [*DEPLOYED, *STEPS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], epilog=f"rows: {', '.join(known)}")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results, JSON")
    parser.add_argument("--on", default="h200:1", metavar="CHIP:SHAPE", help="as `jsr plan` takes it (h200:1)")
    parser.add_argument("--rows", default="", metavar="A,B", help='which rows; "networks" or "steps" are all of them '
                                                                 "(all)")
    parser.add_argument("--quick", action="store_true", help="compile with little effort, see `jsr plan --help`")
    parser.add_argument("--against", type=Path, metavar="OTHER", help="an earlier FILE, whose rows stand beside")
    args = parser.parse_args(argv)
    wanted = {"": known, "networks": list(DEPLOYED), "steps": list(STEPS)}.get(args.rows)
    wanted = wanted or args.rows.split(",")
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"--rows: no row {unknown[0]!r}; there are {', '.join(known)}")

    import jax
    from jax._src import xla_bridge

    from jsr import planning
    from jsr.errors import UserError
    from jsr.files import atomic_write
    from jsr.timing import timing

    if not xla_bridge.backends_are_initialized():
        jax.config.update("jax_platforms", "cpu")  # whatever is here is not what it is for
    try:
        on = planning.target(args.on)
    except UserError as e:
        parser.error(str(e))
    head = timing.head(["python", "benchmarks/compiled.py", *(argv or sys.argv[1:])], "compiled")
    rows = {(its["name"], its["on"]): its for its in _rows(args.out)}
    others = {(its["name"], its["on"]): its for its in _rows(args.against)}
    for name in wanted:
        made = rows[name, on.text] = row(name, on, "quick" if args.quick else "full")
        with atomic_write(args.out, "w") as file:
            json.dump({**head, "results": list(rows.values())}, file, indent=1)
        print(line(made, others.get((name, on.text))), flush=True)


def _rows(path):
    return json.loads(path.read_text())["results"] if path and path.exists() else []


if __name__ == "__main__":
    main()
