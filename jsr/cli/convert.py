"""Convert PyTorch weights to a model file, or a model file back to PyTorch.

    jsr convert RealESRGAN_x4plus.pth realesrgan.safetensors --licence BSD-3-Clause
    jsr convert realesrgan.safetensors back.pth
    jsr convert model.safetensors folder

A model file (.safetensors with jsr's metadata) becomes a state dict, .pth or .safetensors, that the original code loads
with strict=True. Any other file that torch.save or safetensors wrote becomes a model file, whatever its ending; this
does not need PyTorch. jsr recognises the network by its keys and shapes; --arch or --recipe, --scale and --field
overrule that. jsr removes additions of training scripts: dicts, prefixes of names, counters. It prefers averaged
parameters to plain ones (for SAFMN++ the plain ones, as its authors do); --prefix params takes others.

If the target is a folder, jsr writes any network or chain of a model file there as PyTorch code: network.py, which
imports only torch and reads as if written by hand, and weights.pth, its state dict. It first runs the code beside jsr
at three sizes, and refuses it if it is off by more than 1e-5 of the largest value. The code takes images of any size,
unless the network's program depends on the size: then images of 64x64, or --size. `jsr fuse` first gives the deployed
form.

--reference FILE checks the converted network against the original's output and writes the result into the model file.
FILE is a .npz of lr and sr. Make it where the original code runs:

    lr = torch.rand(1, 3, 64, 64)
    sr = net(lr).detach()
    numpy.savez(FILE, lr=lr.permute(0, 2, 3, 1), sr=sr.permute(0, 2, 3, 1), about="torch.rand, seed 0, commit ...")
"""

import ast
from pathlib import Path

from jsr import command_line, convert, model_file, models, recipes, terminal, trees
from jsr.cli import _output
from jsr.convert import conversion, files, trial
from jsr.convert.identify import Match
from jsr.errors import UserError
from jsr.files import is_remote
from jsr.torch_code import convert as torch_code

_TO_MODEL_FILE = ("recipe", "arch", "scale", "field", "prefix", "reference", "licence")


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("source", metavar="FROM", help="PyTorch weights, or a model file or its name")
    parser.add_argument("target", metavar="TO", help="a .safetensors; for a model file also a .pth, or a folder")
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--arch", metavar="MODEL_ID", help="network, such as rrdbnet/b23 (jsr zoo lists them)")
    named.add_argument("--recipe", metavar="TRACK:TEAM", help="recipe whose network it is, such as aim22_t1:srmui")
    parser.add_argument("--scale", type=int, metavar="N", help="SR size over LR size")
    parser.add_argument("--field", action="append", metavar="KEY=VALUE", help="field of the network; repeatable")
    parser.add_argument("--prefix", metavar="TEXT", help="start of the tensors' names that chooses one of several "
                        "networks in the file, such as generator_ema.")
    parser.add_argument("--reference", metavar="FILE", help="output of the original code to compare with, see above")
    parser.add_argument("--size", metavar="HxW", type=command_line.size,
                        help="size of the images that code in a folder takes, if it can take only one")
    parser.add_argument("--licence", metavar="TEXT", help="licence of the weights, kept in the model file")
    _output.add_arguments(parser)


def run(args):
    """Converts, prints the recognised network and how well it fits; returns the exit status."""
    source, target = Path(args.source), Path(args.target)
    if target.exists() and source.exists() and target.samefile(source):
        raise UserError(f"{target}: is the very file to convert; write to another")
    is_folder = target.is_dir() or not target.suffix
    if args.size and not is_folder:
        raise UserError(f"{target}: is no folder; --size is only for PyTorch code, which is written into a folder")
    if args.dry_run:
        _output.settled(args, *([target / name for name in torch_code.FILES] if is_folder else [target]))
        return 0
    console = terminal.console()
    if is_remote(source) or source.is_dir() or not source.suffix:
        source = model_file.find(args.source)
    if files.is_model_file(source):
        given = [name for name in _TO_MODEL_FILE if getattr(args, name) is not None]
        if given:
            raise UserError(f"{source}: is a model file, which names its network; --{given[0]} is for PyTorch weights")
        lines = (_to_folder(source, target, args) if is_folder else _to_torch(source, target, args.overwrite))
    else:
        lines = _to_model_file(source, target, args)
    for line in lines:
        console.print(line)
    return _output.ended("jsr convert", [], f"wrote {target}", console)


def _to_torch(source, target, overwrite):
    """Writes the state dict of a model file; returns lines for the user."""
    meta, networks, variables = model_file.load(source)
    if len(networks) > 1:
        raise UserError(f"{source}: holds {len(networks)} networks ({', '.join(networks)}), a state dict only one; "
                        "name a folder instead of a file: all are written there as PyTorch code")
    (name, model), = networks.items()
    found = convert.official(model, variables[name])
    if found is None:
        form = " in this form" if hasattr(model, "deploy") else ""
        raise UserError(f"{source}: {meta['networks'][0]['model']} has no official names{form} for a state dict; name "
                        "a folder instead of a file: the network is written there as PyTorch code")
    style, rules = found
    tensors = convert.to_torch(variables[name], rules)
    files.write_state_dict(target, tensors, replace=overwrite)
    return [f"{source}: {meta['networks'][0]['model']} x{model.scale}, {len(tensors)} tensors named as in {style}"]


def _to_folder(source, target, args):
    """Writes PyTorch code of a model file; returns lines for the user."""
    meta, networks, variables = model_file.load(source)
    name = " > ".join(f"{row['model']} x{row['scale']}{' (deployed)' if row.get('deployed') else ''}"
                      for row in meta["networks"])
    about = [f"Recipe: {meta['recipe']}."] if meta.get("recipe") else []
    about.append(f"Licence of the weights: {meta.get('licence') or 'not stated'}.")
    text, weights, found, is_open = torch_code.convert(networks, variables, title=name, about="\n".join(about),
                                                       size=args.size)
    torch_code.save(target, text, weights, replace=args.overwrite)
    sizes = [f"{height}x{width}" for (height, width), _ in found]
    taken = "any size" if is_open else f"{sizes[0]} alone" + (
        "" if args.size else ", since its program depends on the size (--size HxW chooses another)")
    worst = max(error for _, error in found)
    return [f"{source}: {name} as PyTorch code, for images of {taken}",
            f"beside jsr, at {', '.join(sizes)}: largest error {worst:.1e} of the largest value"]


def _to_model_file(source, target, args):
    """Writes PyTorch weights as a model file; returns lines for the user."""
    if not source.exists():
        raise UserError(f"{source}: no such file")
    if target.suffix != ".safetensors":
        raise UserError(f"{target}: a model file ends in .safetensors")
    found = conversion.read(source, args.prefix)
    name, match = _identity(found, args)
    converted, certificate = trial.settle(found, match, reference=args.reference)
    model_file.save(target, {name: converted.variables}, {
        **conversion.metadata(found, converted, name), "recipe": args.recipe or "", **_of_recipe(args.recipe),
        "parity": certificate, "licence": args.licence or ""}, replace=args.overwrite)
    return [*converted.notes, _parity_line(certificate),
            f"licence: {args.licence}" if args.licence else "licence: not stated (--licence)"]


def _of_recipe(spec):
    """A model file's facts about the recipe that the user named: {protocol, ensemble}."""
    if not spec:
        return {}
    recipe = recipes.load(spec)
    return {"protocol": recipe.protocol, "ensemble": trees.plain(recipe.ensemble)}


def _parity_line(certificate):
    if certificate is None:
        return "parity: not checked (--reference)"
    shape = "x".join(map(str, certificate["lr_shape"]))
    return (f"parity with {certificate['reference']}, lr {shape}: largest error {certificate['max_abs_error']:.2g}, "
            f"mean {certificate['mean_abs_error']:.2g}, of values in [0, 1]")


def _identity(source, args):
    """(network's name, Match) of a Source: what the user says, and the rest as recognised."""
    name, recognised = "sr", source.match
    if args.recipe:
        recipe = recipes.load(args.recipe)
        if len(recipe.chain) > 1:
            raise UserError(f"{args.recipe}: is a chain of {len(recipe.chain)} networks, a state dict holds one; "
                            "name that one with --arch")
        name, = recipe.chain
        net = trees.plain(recipe.networks[name])
        found = Match(net["model"], net["scale"], net["fields"])
    elif args.arch and (recognised is None or args.arch not in (recognised.model, recognised.model.partition("/")[0])):
        if args.scale is None:
            raise UserError(f"--arch {args.arch}: jsr does not recognise these weights as this network's; give the "
                            "scale too: --scale N")
        found = Match(models.resolve(args.arch), args.scale, {})
    elif recognised is None:
        raise UserError(f"{source.path}: weights of no network that jsr recognises ({source.keys()}); name it: --arch "
                        "MODEL_ID --scale N")
    else:
        found = recognised
    scale = args.scale or found.scale
    fields = dict(_field(text, found.model, scale) for text in args.field or ())
    said = {*fields, *(["scale"] if args.scale else [])}
    assumed = tuple(text for text in found.assumed if text.partition(" ")[0] not in said)
    return name, Match(found.model, scale, found.fields | fields, assumed)


def _field(text, model_id, scale):
    """("num_feat", 64) of "num_feat=64"; the value is of the type that the field has."""
    key, sign, value = text.partition("=")
    if not sign:
        raise UserError(f"--field {text}: must be KEY=VALUE, for example num_feat=64")
    try:
        value = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        pass  # a word, as in upsampler=pixelshuffle
    if isinstance(value, (list, tuple)):
        value = list(value)
    own = getattr(network := models.create(model_id, scale=scale), key, None)
    if value is None and getattr(type(network), key, own) is None:
        return key, value
    kinds = {int: (int,), float: (int, float), str: (str,), bool: (bool,), tuple: (list,)}.get(type(own))
    if kinds and (not isinstance(value, kinds) or isinstance(value, bool) != isinstance(own, bool)):
        raise UserError(f"--field {text}: must have a value like {own!r}")
    return key, value
