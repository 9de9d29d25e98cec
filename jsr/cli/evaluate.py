"""Score a folder of images, made by any program, against the originals.

  jsr evaluate --sr out --hr DIV2K_test_HR --protocol aim22_t1      a challenge's scores, beside bicubic and its table
  jsr evaluate --sr out --hr HR --protocol ntire23_x3 --runtime_ms 3.6    and the challenge's score of PSNR and runtime
  jsr evaluate --sr out --hr HR --protocol ais24                    out/QP31, out/QP63: a folder for each QP
  jsr evaluate --sr out31 --hr HR --protocol ais24 --qp 31          one QP
  jsr evaluate --sr out --hr Set5 --protocol bicubic_x4             clean images, as papers score them, beside bicubic
  jsr evaluate --sr out --hr Set5 --profile rgb y_601               PSNR and SSIM of these profiles
  jsr evaluate --sr out --hr Set5 --profile "psnr_b[rgb]"           one score
  jsr evaluate --sr out --hr Set5 --profile rgb "lpips[alex]" "dists[vgg16]" "niqe[y_601_rounded]"    perceptual ones
  jsr evaluate --sr A B C --hr HR --profile rgb "lpips[alex]" --html page.html    methods beside each other
  jsr evaluate --sr out --hr clips --lr lr --protocol aim22_t2      clips: video files, or a folder of frames for each
  jsr evaluate --sr out --lr test_LR --submission out.zip --runtime 1.2

Folders are searched to the bottom. Files are paired within folders of the same name, or by file name alone where the
folders differ. SR and LR names may have additions (0801x4.png, 0801_SwinIR.png) as long as only one pairing is
possible. A file that is missing, damaged or of the wrong size gets one line, is left out of the means, and makes the
exit status 1. Every number is printed with its profile: PSNR[rgb], PSNR[y_601].

A challenge's baseline is bicubic enlargement, for ais24 Lanczos, for ntire24 the JPEG image itself. Its LR images are
made from the HR images unless --lr has them (in a folder for each QP, if --sr has such folders). The encoder and the
decoder are printed; --set encoder=pillow and the like choose them, and LR files of `jsr degrade` are decoded as it
recorded. With other codecs than the protocol's the scores are not ranked in its table.

LPIPS, DISTS and NIQE, where less is better, use published weights, which `jsr models get lpips-alex` (lpips-vgg,
dists, niqe) downloads; the weights used are printed with their SHA-256. The perceptual index of PIRM 2018 also needs
the score of Ma et al., which is MATLAB code: jsr.metrics.perceptual_index computes the index from that score and NIQE.

For several --sr folders the table has a row each, with the difference to the best and its 95 % interval by the paired
bootstrap over images (10,000 draws, the same each time), and names the images where each folder is furthest behind. An
image that one folder lacks is left out. Images at several QPs are compared one QP at a time, with --qp.

Clips are scored frame by frame, as RGB of 8 bit by ffmpeg's conversion; a clip's scores are the means over its frames,
and the mean is over clips. PNG frames are exact, a video file has the losses of its own codec. TCC, the SSIM of the
changes from frame to frame (Zhang et al., ICCV 2019), is lower where a clip flickers.

--json holds {protocol, profiles, crop_border, weights, codecs, images: [{name, sr, hr, cropped, ours, bicubic}], mean:
{ours, bicubic}, standing, skipped, kept}. weights are [{score, weights, sha256, source}] of the scores that use any;
codecs are the LR images' codecs, "" where they are not known; scores are {"psnr[rgb]": dB, ...}; kept is
{"runtime_ms": whether it is within the challenge's limit} where there is a limit and a runtime was given. The baseline
stands under its name. With several QPs an image also has its qp, and the mean's scores are called "psnr[rgb] QP31". The
PSNR of equal images is the string "inf", since JSON has no infinity. --csv holds one row per image. For clips, images
are clips that also have frames: {ours, bicubic: [{key: score}]}, and --csv holds one row per frame.
For several --sr --json holds {protocol, profiles, crop_border, weights, codecs, methods: {name: folder}, images:
[{name, hr, cropped, files: {method: path}, scores: {method: {...}}}], compared: [{score, method, best, mean,
difference, low, high, p}], worst: {method: [{name, value, behind, than}]}, bootstrap: {draws, level, seed}, skipped}.
"""

import csv
import dataclasses
from functools import partial
import itertools
import math
from pathlib import Path
import re

from rich.table import Table

from jsr import challenges, degradations, evaluation, listing, metrics, parallel, terminal
from jsr.challenges import submission
from jsr.cli import _evaluate_several, _output, _progress
from jsr.cli.degrade import chosen
from jsr.degradations.degrade_folder import VIDEOS
from jsr.errors import UserError
from jsr.evaluation import score_clips, score_folders
from jsr.files import no_folder
from jsr.images import EXTENSIONS, image_size, list_images
from jsr.metrics.scores import gain_text

_PAIRS_PER_WORKER = 4  # fewer are scored sooner than a process starts
_BY_NETWORKS = ("lpips", "dists")  # scores that use all cores by themselves, and much memory


def add_arguments(parser):
    """Adds the command's arguments to an argparse parser."""
    parser.add_argument("--sr", metavar="DIR", type=Path, nargs="+", required=True,
                        help="folder of the images or clips to score, or one clip; one for each of several methods")
    parser.add_argument("--hr", metavar="DIR", type=Path, help="folder of the originals, or one clip")
    parser.add_argument("--lr", metavar="DIR", type=Path,
                        help="folder of the LR images, for the baseline; by default the protocol makes them")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--protocol", metavar="NAME", help=f"score as a challenge: {', '.join(challenges.PROTOCOLS)}")
    what.add_argument("--profile", metavar="NAME", nargs="+",
                      help=f"profiles for PSNR and SSIM, {', '.join(metrics.PROFILES)}; or one score, for example "
                           "psnr_b[rgb] or lpips[alex] (`jsr zoo metrics` lists them)")
    parser.add_argument("--qp", metavar="N", type=int, help="QP of the images; by default --sr has the folders QP31, "
                                                            "QP63... of a protocol with several QPs")
    parser.add_argument("--runtime_ms", metavar="MS", type=float, help="runtime per image, ms, for a real-time "
                                                                       "challenge's score")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                        help="parameter of the protocol's LR images, for example encoder=pillow or decoder=9d")
    parser.add_argument("--scale", metavar="N", type=int,
                        help="HR size over LR size, the protocol's by default; HR images are cropped to its multiples")
    parser.add_argument("--crop_border", metavar="N", type=int,
                        help="px cut off each side before comparing; the protocol's, or 0, by default")
    parser.add_argument("--json", metavar="FILE", type=Path, help="file for all numbers; - is standard output")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="file for the scores, one row per image")
    parser.add_argument("--html", metavar="FILE", type=Path,
                        help="file for a page about several --sr, with crops of the worst images")
    parser.add_argument("--num_workers", metavar="N", type=int, help="number of processes; one per core by default")
    zipped = parser.add_argument_group("submission", "a ZIP archive as challenge servers take it; needs no --hr")
    zipped.add_argument("--submission", metavar="ZIP", type=Path, help="the archive; - is standard output")
    zipped.add_argument("--runtime", metavar="S", type=float, help="s an image, of clips a frame, for its readme.txt")
    zipped.add_argument("--cpu", action="store_true", help="--runtime_ms was measured on a CPU, not a GPU")
    zipped.add_argument("--extra_data", action="store_true", help="trained on more than the challenge's data")
    zipped.add_argument("--description", metavar="TEXT", default="", help="the readme's last line")
    _output.add_arguments(parser, "files that are")


def run(args):
    """Scores, prints, and writes the requested files; returns the exit status."""
    protocol = challenges.protocol(args.protocol) if args.protocol else None
    keys, scale, crop_border = _settings(args, protocol)
    if _output.settled(args, args.json, args.csv, args.html, args.submission):
        return 0
    console = terminal.console(stderr=_output.STDOUT in (args.json, args.csv, args.html, args.submission))
    weights = metrics.weights_used(keys) if args.hr else []
    for row in weights:
        console.print(f"{metrics.label(row['score'])} by {row['weights']}, SHA-256 {row['sha256']}")
    if len(args.sr) > 1:
        return _run_several(args, protocol, keys, scale, crop_border, console, weights)
    video, pairs, problems, everything = _found(args.sr[0], args, protocol, scale, console)
    figures = {"runtime_ms": args.runtime * 1e3 if args.runtime_ms is None and args.runtime else args.runtime_ms}
    rows = []
    if args.hr:
        rows = _scored(pairs, args, protocol, keys, scale, crop_border, video, problems)
        report = _report(rows, problems, protocol=protocol, keys=keys, crop_border=crop_border,
                         runtime_ms=args.runtime_ms, weights=weights)
        report["kept"] = challenges.kept(protocol, figures) if protocol else {}
        _show(report, protocol, console, title=args.sr[0])
    if protocol and challenges.kept(protocol, figures):
        console.print(challenges.verdict(protocol, figures))
    done = f"{len(rows)} {'clips' if video else 'images'} scored" if rows else ""
    try:
        if args.submission and problems:
            problems.append(f"{args.submission}: not written; files missing or unfit: {len(problems)}")
        elif args.submission:
            done = _submit(args, pairs, protocol, video)
            if form := protocol and protocol.submission:
                console.print(f"submission, according to the report: {form.where or 'nothing'}; inferred: "
                              f"{form.inferred}")
        if args.hr:
            _write(report, args)
    except UserError as e:  # what is wrong with the images is said all the same
        problems.append(str(e))
    return _output.ended("jsr evaluate", sorted(problems), done, console, everything)


def _run_several(args, protocol, keys, scale, crop_border, console, weights):
    """As `run`, of several methods."""
    folders, rows_of, problems, everything, made = _evaluate_several.names_of(args.sr), {}, [], listing.PassedOver(), {}
    baseline = protocol.baseline if protocol else "bicubic"
    if baseline in folders:
        raise UserError(f"--sr {folders[baseline]}: {baseline!r} is what the baseline is called; rename the folder")
    for method, folder in folders.items():
        video, pairs, wrong, passed = _found(folder, args, protocol, scale, console)
        if rows_of:  # the baseline is that of the first
            pairs = [dataclasses.replace(pair, lr=None) for pair in pairs]
        rows_of[method] = _scored(pairs, args, protocol, keys, scale, crop_border, video, wrong, baseline=not rows_of)
        made |= {row["name"]: row.pop("made") for row in rows_of[method] if "made" in row}
        problems += wrong
        everything += passed
    rows, methods, lacking = _evaluate_several.joined(rows_of, baseline)
    report = _evaluate_several.report_of(rows, methods, folders, [*problems, *lacking], protocol=protocol, keys=keys,
                                         crop_border=crop_border, weights=weights, made=made)
    _evaluate_several.show(report, console)
    for line in lacking:  # the reason is among the problems
        console.print(line)
    try:
        _evaluate_several.write(report, args, video)
    except UserError as e:
        problems.append(str(e))
    done = f"{len(rows)} images of {len(folders)} methods compared" if rows else ""
    return _output.ended("jsr evaluate", sorted(set(problems)), done, console, everything)


def _found(sr, args, protocol, scale, console):
    """(whether clips are judged, pairs, problems, listing.PassedOver) of an SR folder."""
    pairs, problems, passed = [], [], {}
    video = protocol.video if protocol else _holds_clips(sr)
    files = score_clips.list_clips if video else _images
    for qp, made, lr in _folders(sr, args, protocol):
        found, unpaired = _pairs(made, args.hr, lr, scale, qp, console, passed, files)
        pairs, problems = pairs + found, problems + unpaired
    everything = listing.PassedOver()
    for here in passed.values():
        everything += here
    return video, pairs, problems + [str(error) for error in everything.errors], everything


def _scored(pairs, args, protocol, keys, scale, crop_border, video, problems, *, baseline=True):
    """The rows of all pairs that can be scored, with the protocol's baseline or without."""
    settings = {"baseline": protocol.baseline, "kernel": protocol.kernel} if protocol else {}
    if baseline and protocol and protocol.degradation and not args.lr:
        settings |= {"degradation": protocol.name, "fixed": chosen(protocol.name, args.set)}
    score = score_clips.score_clip if video else score_folders.score_pair
    work = partial(score, keys=keys, crop_border=crop_border, scale=scale, **settings)
    networks = args.num_workers is None and any(key.startswith(_BY_NETWORKS) for key in keys)
    return _score(work, pairs, 1 if networks else args.num_workers, problems, 1 if video else _PAIRS_PER_WORKER)


def _images(place, passed):
    return list_images(place, passed=passed)


def _holds_clips(place):
    """Whether a place, which no protocol tells the kind of, is a video file or has some and no images."""
    if place.is_file():
        return place.suffix.lower() in VIDEOS
    if not place.is_dir():
        return False
    suffixes = {path.suffix.lower() for path in listing.taken(place, (*VIDEOS, *EXTENSIONS), listing.PassedOver())}
    return bool(suffixes) and suffixes <= set(VIDEOS)


def _settings(args, protocol):
    """The keys to score, the scale or None, and the border; UserError for arguments that do not fit together."""
    if not args.hr and not args.submission:
        raise UserError("--hr is missing: the folder of the originals")
    if args.hr and not protocol and not args.profile:
        raise UserError("name the scores: --protocol aim22_t1, or --profile rgb")
    several = len(args.sr) > 1
    if several and (args.submission or args.runtime_ms is not None or not args.hr):
        raise UserError(f"--sr {' '.join(map(str, args.sr))}: several folders are compared with --hr; --submission and "
                        "--runtime_ms take only one")
    if several and protocol and protocol.qps and args.qp is None:
        raise UserError(f"--sr {' '.join(map(str, args.sr))}: several folders are compared at one QP; name it: --qp N")
    if args.html and not several:
        raise UserError("--html: the page compares several --sr; name two or more folders")
    if args.submission and (args.runtime is None or not 0 <= args.runtime < math.inf):
        raise UserError("--submission needs --runtime, the seconds an image takes")
    if args.runtime_ms is not None and not (protocol and protocol.runtime):
        scored = " or ".join(row.name for row in challenges.PROTOCOLS.values() if row.runtime)
        raise UserError(f"--runtime_ms is for the score of a real-time challenge: --protocol {scored}")
    if args.runtime_ms is not None and not 0 < args.runtime_ms < math.inf:
        raise UserError(f"--runtime_ms {args.runtime_ms:g}: must be more than 0")
    if args.qp is not None and not (protocol and args.qp in protocol.qps):
        judged = " or ".join(row.name for row in challenges.PROTOCOLS.values() if row.qps)
        raise UserError(f"--qp {args.qp}: " + (f"{protocol.name} has {_listed(protocol.qps)}"
                                               if protocol and protocol.qps else f"is for --protocol {judged}"))
    if protocol and protocol.qps and args.submission and args.qp is None:
        raise UserError("--submission takes the images of one QP: name it with --qp")
    if not args.hr and (args.json or args.csv):
        raise UserError("--json and --csv need --hr: without the originals there are no scores")
    if args.set and (args.lr or not (protocol and protocol.degradation)):
        raise UserError("--set: " + ("chooses how LR images are made, but --lr has them; leave one out" if args.lr else
                                     "chooses how a protocol's LR images are made; name one that makes them, as "
                                     "--protocol aim22_t1"))
    if any(text.partition("=")[0] == "qp" for text in args.set) and protocol.qps:
        raise UserError("--set qp: the LR images have the SR images' QP, which --qp gives, or folders named QP31 and "
                        "so on")
    scale = args.scale if args.scale is not None else protocol.scale if protocol else None
    if scale is not None and scale < 1:
        raise UserError(f"--scale {scale}: must be at least 1")
    if protocol and scale != protocol.scale:
        raise UserError(f"--scale {scale}: the protocol {protocol.name} is x{protocol.scale}; use --profile instead")
    crop_border = args.crop_border if args.crop_border is not None else protocol.crop_border if protocol else 0
    if crop_border < 0:
        raise UserError(f"--crop_border {crop_border}: must not be negative")
    names = protocol.keys if protocol else args.profile or ()
    keys = dict.fromkeys(key for name in names
                         for key in ([name] if "[" in name else (f"psnr[{name}]", f"ssim[{name}]")))
    try:
        for key in keys:
            metrics.parse_key(key)
    except ValueError as e:
        raise UserError(f"--profile: {e}") from e
    return list(keys), scale, crop_border


def _listed(qps):
    return f"{', '.join(map(str, qps[:-1]))} and {qps[-1]}"


def _folders(sr, args, protocol):
    """[(QP or None, SR folder, LR folder or None)] to score, in the order of the QPs."""
    if args.qp is not None or not (protocol and protocol.qps):
        return [(args.qp, sr, args.lr)]
    made, inputs = _by_qp(sr, protocol), _by_qp(args.lr, protocol) if args.lr else {}
    lacking = [qp for qp in made if args.lr and qp not in inputs]
    if lacking:
        raise UserError(f"{args.lr}: has no folder QP{lacking[0]}, as {sr} does")
    return [(qp, made[qp], inputs.get(qp)) for qp in protocol.qps if qp in made]


def _by_qp(folder, protocol):
    """{QP: its folder in `folder`}: of QP31, qp31, qp_31 or 31."""
    if not folder.is_dir():
        raise UserError(f"{folder}: {no_folder(folder)}")
    found = {}
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        match = re.fullmatch(r"(?:qp[-_]?)?(\d+)", path.name, re.IGNORECASE)
        qp = int(match[1]) if match else None
        if qp in found:
            raise UserError(f"{path}: is of the same QP as {found[qp].name}; remove one of them")
        if qp is not None and qp not in protocol.qps:
            raise UserError(f"{path}: {protocol.name} has no QP {qp}, but {_listed(protocol.qps)}")
        if qp is not None:
            found[qp] = path
    if not found:
        raise UserError(f"{folder}: {protocol.name} judges images at QP {_listed(protocol.qps)}; put those of each in "
                        "a folder of its own there, QP31 and so on, or say which QP these are of with --qp")
    return found


def _pairs(sr_dir, hr_dir, lr_dir, scale, qp, console, passed, files):
    """(pairs, problems): a score_folders.Pair for every image that has all it needs, and one line for every other file.

    Without `hr_dir` a pair's `hr` is the LR whose name it answers to, or, without `lr_dir` too, the image itself.
    """
    def images(folder):
        passed[folder] = listing.PassedOver()  # of the originals, which belong to several QPs, once
        return files(folder, passed[folder])

    made, at = images(sr_dir), f"QP{qp} " if qp else ""
    inputs = images(lr_dir) if lr_dir else []
    if not hr_dir:
        found, problems = score_folders.match_below(made, inputs or made, sr_dir, lr_dir or sr_dir, reference="LR")
        _say_renamed(found, console)
        amiss = score_clips.amiss if files is score_clips.list_clips else _wrong_size
        problems += [text for lr, sr in found.items() if inputs and scale for text in amiss(sr, lr, scale)]
        return [score_folders.Pair(sr, lr) for lr, sr in found.items()], problems
    references = images(hr_dir)
    if alone := _alone((sr_dir, hr_dir, lr_dir), (made, references, inputs)):
        return [alone], []
    found, problems = score_folders.match_below(made, references, sr_dir, hr_dir, what=f"{at}SR")
    _say_renamed(found, console)
    names = score_folders.names_below(references, hr_dir)
    if not inputs:
        return [score_folders.Pair(sr, hr, qp=qp, name=names[hr]) for hr, sr in found.items()], problems
    lr_of, lr_problems = score_folders.match_below(inputs, list(found), lr_dir, hr_dir, what=f"{at}LR")
    _say_renamed(lr_of, console)
    return [score_folders.Pair(found[hr], hr, lr, qp, names[hr]) for hr, lr in lr_of.items()], problems + lr_problems


def _alone(places, found):
    """The Pair of clips (SR, HR, LR or None) that are named themselves, whatever their names; None of folders of clips.

    Args:
      places: places of SR, HR and LR as they were given.
      found: [Path] of the clips in each.
    """
    alone = [place for place, its in zip(places, found, strict=True) if place and its == [place]]
    others = [place for place in places if place and place not in alone]
    if alone and others:
        raise UserError(f"{alone[0]}: is one clip, {others[0]} a folder of clips; give one of each, or folders")
    return score_folders.Pair(*places, name=places[1].stem) if alone else None


def _say_renamed(found, console):
    renamed = [f"{made.name} for {name.name}" for name, made in found.items() if made.stem != name.stem]
    if renamed:
        more = ", ..." if len(renamed) > 3 else ""
        console.print(f"paired in spite of what their names add: {len(renamed)} ({', '.join(renamed[:3])}{more})")


def _wrong_size(sr, lr, scale):
    try:
        (height, width), (lr_height, lr_width) = image_size(sr), image_size(lr)
    except UserError as e:
        return [str(e)]
    if (height, width) == (lr_height * scale, lr_width * scale):
        return []
    return [f"{sr}: is {height}x{width}, its LR {lr.name} {lr_height}x{lr_width} (height x width), not x{scale}"]


def _score(work, pairs, num_workers, problems, least):
    """The rows of all pairs that can be scored, by name; the others are added to the problems.

    A process has `least` pairs at least, where nothing else is said.
    """
    if num_workers is None:
        num_workers = min(parallel.cores(), len(pairs) // least)
    rows = []
    with _progress.bar() as progress:
        for done, (_, outcome) in enumerate(parallel.map_unordered(work, pairs, num_workers=num_workers), start=1):
            if isinstance(outcome, UserError):
                problems.append(str(outcome))
            else:
                rows.append(outcome)
            progress("scoring", done, len(pairs))
    return sorted(rows, key=lambda row: (row.get("qp", 0), row["name"]))


def _report(rows, problems, *, protocol, keys, crop_border, runtime_ms, weights):
    mean = {who: {challenges.column(key, qp): value for qp, group in _by_row_qp(rows).items()
                  for key, value in evaluation.mean_scores([row[who] for row in group]).items()}
            for who in ("ours", protocol.baseline if protocol else "bicubic") if rows and who in rows[0]}
    made = {f"QP{row['qp']} {row['name']}" if "qp" in row else row["name"]: row.pop("made")
            for row in rows if "made" in row}
    codecs, standing = evaluation.same_codecs(made), None
    if rows and protocol:
        others = {degradations.other_codecs(record, protocol.name) for record in made.values() if record} - {""}
        ranked = [row["name"] for row in rows if not protocol.qps or row["qp"] in protocol.table_qps]
        standing = challenges.standing(protocol, mean["ours"], ranked, mean.get(protocol.baseline), runtime_ms,
                                       " and ".join(sorted(others)))
    return {"protocol": protocol and protocol.name, "profiles": keys, "crop_border": crop_border, "weights": weights,
            "codecs": codecs, "images": rows, "mean": mean, "standing": standing and dataclasses.asdict(standing),
            "skipped": sorted(problems)}


def _by_row_qp(rows):
    """{QP or None: its rows}, in the rows' order."""
    return {qp: list(group) for qp, group in itertools.groupby(rows, lambda row: row.get("qp"))}


def _show(report, protocol, console, title):
    rows, mean, keys, skipped = report["images"], report["mean"], report["profiles"], len(report["skipped"])
    cropped = [row for row in rows if row["cropped"]]
    if cropped:
        console.print(f"HR images cropped at the bottom and right to multiples of the scale: {len(cropped)} "
                      f"({cropped[0]['name']} from {cropped[0]['cropped']}, height x width)")
    kind = "clip" if any("frames" in row for row in rows) else "image"
    count = f"{title}, {kind}s scored: {len(rows)}" + (f", files left out: {skipped}" if skipped else "")
    count += f", LR by {report['codecs']}" if report["codecs"] else ""
    if not rows:
        console.print(count)
        return
    first, (_, *baseline) = keys[0], mean
    shown = Table(kind, title=count, title_justify="left")
    for key in keys:
        shown.add_column(metrics.label(key), justify="right")
    if baseline:
        shown.add_column(f"gain {metrics.label(first)}", justify="right")
    groups = _by_row_qp(rows)
    for row in rows:
        gain = [gain_text(row["ours"][first], row[who][first]) for who in baseline]
        name = f"QP{row['qp']} {row['name']}" if "qp" in row else row["name"]
        shown.add_row(name, *(f"{row['ours'][key]:.4f}" for key in keys), *gain)
    for qp in groups:
        columns = [challenges.column(key, qp) for key in keys]
        shown.add_section()
        shown.add_row(challenges.column("mean", qp), *(f"{mean['ours'][name]:.4f}" for name in columns))
        for who in baseline:
            shown.add_row(challenges.column(f"mean of {who}", qp), *(f"{mean[who][name]:.4f}" for name in columns))
            shown.add_row(challenges.column("gain", qp),
                          *(gain_text(mean["ours"][name], mean[who][name]) for name in columns))
    console.print(shown)
    if protocol:
        if protocol.test_set:
            console.print(_published(report["standing"], protocol))
        console.print(report["standing"]["text"])


def _published(standing, protocol):
    rows, gains = challenges.table(protocol), standing["published_gains"]
    if gains:
        rows = [*(row | {"gain": f"{gains[row['team']]:+.4f}"} for row in rows),
                {"team": protocol.baseline, **protocol.published}]
    figures = protocol.keys if protocol.weigh else protocol.ranking_columns
    headings = {"team": "team", "method": "method", **{name: challenges.label(name) for name in figures},
                "gain": f"gain over {protocol.baseline}", "model_mb": "model, MB", "runtime_s": "s an image",
                "runtime_ms": "ms an image", "score": "score"}
    columns = [name for name in headings if name in rows[0]]
    note = "" if standing["rank"] else "; not comparable with the above"
    shown = Table(title=f"{protocol.title}, on {protocol.test_set}{note}", title_justify="left")
    for name in columns:
        shown.add_column(headings[name], justify="left" if name in ("team", "method") else "right")
    for row in rows:
        shown.add_row(*(row.get(name, "") for name in columns))
    return shown


def _write(report, args):
    if args.json:
        _output.write_json(args.json, metrics.json_ready(report), args)
    if args.csv:
        with _output.opened(args.csv, args) as file:
            table = csv.writer(file, lineterminator="\n")
            whos, keys = list(report["mean"]), report["profiles"]
            rows = list(_lines(report["images"], whos))
            named = ["name", *(name for name in ("qp", "frame") if any(name in row for row in rows))]
            table.writerow([*named, *(f"{who} {key}" for who in whos for key in keys)])
            table.writerows([*(row[name] for name in named), *(row[who].get(key, "") for who in whos for key in keys)]
                            for row in rows)


def _lines(rows, whos):
    """The rows of images; for those of clips one for every frame."""
    for row in rows:
        if "frames" not in row:
            yield row
            continue
        for number, scores in enumerate(zip(*(row["frames"][who] for who in whos), strict=True), start=1):
            yield {"name": row["name"], "frame": number, **dict(zip(whos, scores, strict=True))}


def _submit(args, pairs, protocol, video):
    """Writes the archive; returns what was done, in a few words."""
    form = protocol and protocol.submission
    text = submission.readme(args.runtime, unit=form.unit if form else "image", cpu=args.cpu,
                             extra_data=args.extra_data, description=args.description)
    sources = {pair.hr.stem: pair.sr for pair in pairs}
    if len(sources) < len(pairs):
        twice = next(pair for pair in pairs if sources[pair.hr.stem] != pair.sr)
        raise UserError(f"{args.submission}: not written; {twice.sr} and {sources[twice.hr.stem]} would have one name "
                        "there; rename one")
    with _progress.bar() as progress, _output.opened(args.submission, args, "wb") as file:
        def images():
            for done, (name, path) in enumerate(sorted(sources.items()), start=1):
                yield from score_clips.named_frames(name, path) if video else [(name, path)]
                progress("packing", done, len(sources))

        submission.write_zip(file, images(), text)
    others = protocol and protocol.test_set and (len(sources) != protocol.test_count
                                                 or protocol.test_names not in (None, sources.keys()))
    return (f"{args.submission}: {len(sources)} {'clips' if video else 'images'} and readme.txt"
            + (f"; the challenge's are {protocol.test_set}" if others else ""))
