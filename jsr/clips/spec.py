"""The form of a result clip: container, encoder, pixel format, size; clips that do not fit are refused beforehand."""

import dataclasses
import io

from jsr.clips import colour, formats, read
from jsr.clips.formats import CONTAINERS, ENCODERS
from jsr.errors import UserError
from jsr.native import call_apart, environment, pyav

_OPENING_S = 120  # that an encoder may take to begin
SEGMENT = 96  # frames of a segment, which is one group of pictures, or several
_MIN = {"libx264": 16, "libx265": 16, "libsvtav1": 64}  # sides that encoders take, px; the first is a guess of x264's


@dataclasses.dataclass(frozen=True)
class Wishes:
    """A person's options for reading and writing clips.

    Attributes:
      codec: name of an encoder or of its codec; None is by the clip's own.
      crf: constant rate factor; None is the encoder's default.
      preset: preset of the encoder; None is its default.
      start, end: s from the first frame, Fraction; None is all.
      stream: index of the video stream; None is the one that players take.
      without: indices of streams that are left out.
      deinterlace: makes whole frames of interlaced ones.
      sdr: refuses HDR.
      frames: writes the frames as pictures into a folder, of this ending, as ".png"; "" writes a clip.
      rate: frames a second of a folder of frames that is read as a clip, Fraction; None takes folders for pictures.
      windows: shows recurrent networks windows of a scene, for which the disk needs no room, instead of all of it.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    start: object = None
    end: object = None
    stream: int | None = None
    without: tuple[int, ...] = ()
    deinterlace: bool = False
    sdr: bool = False
    frames: str = ""
    rate: object = None
    windows: bool = False


@dataclasses.dataclass(frozen=True)
class Spec:
    """The form in which one clip is written.

    Attributes:
      container: key of jsr.clips.formats.CONTAINERS.
      encoder: key of ENCODERS.
      pix_fmt: FFmpeg's name.
      height, width: px; of encoders that take even sides alone at least the picture's.
      options: options of the encoder, {name: value} as pairs.
      copied: indices of the source's streams that are copied.
      notes: what a person should know of it.
    """

    container: str
    encoder: str
    pix_fmt: str
    height: int
    width: int
    options: tuple[tuple[str, str], ...]
    copied: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def settings(self):
        """All that the written pixels depend on, as JSON takes it."""
        return {"encoder": self.encoder, "pix_fmt": self.pix_fmt, "options": dict(self.options), "segment": SEGMENT,
                "size": [self.height, self.width], "container": self.container, "copied": list(self.copied)}

    def __str__(self):
        crf, preset = (dict(self.options).get(name) for name in ("crf", ENCODERS[self.encoder].preset_option))
        return f"{self.encoder}{f' crf {crf}' if crf else ''}{f' preset {preset}' if preset else ''} {self.pix_fmt}"


def specify(clip, size, container, wishes):
    """The Spec of a clip's result; encoder and container are tried with their headers.

    Args:
      clip: jsr.clips.read.Clip.
      size: (height, width) of the result, px.
      container: key of CONTAINERS.
      wishes: Wishes.

    Raises:
      UserError: HDR where SDR is wanted; a codec, crf or preset that does not fit; a stream that the container cannot
        hold, with one that can; an encoder that does not take such frames, with one that does.
    """
    if clip.colours.hdr and wishes.sdr:
        raise UserError(f"{clip.path}: is HDR ({clip.colours.hdr}), and --sdr wants none; convert it to SDR first, or "
                        "leave --sdr out: its 10-bit codes go through as they are")
    unknown = [index for index in wishes.without if index not in clip.others]
    if unknown:
        raise UserError(f"{clip.path}: --without {unknown[0]}: there is no such stream beside the one that is taken; "
                        f"there are {', '.join(map(str, clip.others)) or 'none'}")
    copied, notes = _copied(clip, container, wishes.without)
    hdr = bool(clip.display or clip.light)
    if wishes.codec is not None:
        names = [formats.encoder(wishes.codec)]
    else:
        names = formats.candidates(clip.codec, clip.bits, container, hdr=hdr)
    reasons = {}
    for name in names:
        found = _tried(clip, name, size, container, wishes, copied, notes)
        if isinstance(found, Spec):
            return found
        reasons[name] = found
    name, reason = next(iter(reasons.items()))
    if wishes.codec is None:
        raise UserError(f"{clip.path}: {container} takes none of the encoders for {clip.pix_fmt}: {name} {reason}; "
                        "choose --container mkv")
    plain = dataclasses.replace(wishes, crf=None, preset=None)
    other = next((other for other in formats.candidates(clip.codec, clip.bits, container, hdr=hdr) if other != name
                  and isinstance(_tried(clip, other, size, container, plain, copied, notes), Spec)), None)
    advice = f"choose --codec {other}" if other else "choose --container mkv"
    raise UserError(f"{clip.path}: --codec {wishes.codec}: {name} {reason}; {advice}")


def _tried(clip, name, size, container, wishes, copied, notes):
    """The Spec of a clip by an encoder, or the reason why that does not take it."""
    encoder, pix_fmt = ENCODERS[name], _pix_fmt(clip, name)
    if reason := _misfit(clip, name, pix_fmt, size, container, bool(clip.display or clip.light)):
        return reason
    options = _options(clip, encoder, wishes)
    height, width = (_even(side, halved) if encoder.even else side
                     for side, halved in zip(size, _halves(pix_fmt), strict=True))
    found = Spec(container, name, pix_fmt, height, width, tuple(sorted(options.items())), copied, tuple(
        notes + _notes(clip, name, pix_fmt, size, (height, width))))
    return _refused(clip, found) or found


def _halves(pix_fmt):
    """Whether height and width of a pixel format must be even for encoders that say so."""
    kind = colour.layout(pix_fmt)
    return kind.down == 2, kind.across == 2


def _even(side, halved):
    return side + side % 2 if halved else side


def _pix_fmt(clip, encoder):
    """The pixel format in which an encoder writes a clip, None where it has none that keeps all: the nearest larger."""
    kind, taken = colour.layout(clip.pix_fmt), _formats(encoder)
    wanted = {name: colour.layout(name) for name in taken if not name.startswith("yuvj")}
    bits = min(kind.bits, ENCODERS[encoder].most_bits)
    fit = [(name, its) for name, its in wanted.items()
           if its.rgb == kind.rgb and its.grey == kind.grey and its.alpha == kind.alpha and its.bits >= bits
           and its.across <= kind.across and its.down <= kind.down and not name.startswith(("nv", "grayf", "gbrpf"))]
    if not fit and kind.grey:  # as luma without colours
        fit = [(name, its) for name, its in wanted.items() if (its.across, its.down, its.rgb) == (2, 2, False)
               and its.alpha == kind.alpha and its.bits >= bits and not its.grey]
    return min(fit, key=lambda row: (row[1].bits, -row[1].down, -row[1].across, row[0] != row[1].planar, row[0]),
               default=(None,))[0]


def _formats(encoder):
    av = pyav("a clip")
    try:
        return [form.name for form in av.codec.Codec(encoder, "w").video_formats or ()]
    except av.codec.codec.UnknownCodecError:
        return []


def _misfit(clip, name, pix_fmt, size, container, hdr):
    """Why an encoder does not suit a clip, "" where it does."""
    encoder = ENCODERS[name]
    if not _formats(name):
        return f"is not in this PyAV ({pyav(name).__version__})"
    if pix_fmt is None:
        kind = colour.layout(clip.pix_fmt)
        what = " with alpha" * kind.alpha or f", {kind.bits} bits"
        return f"does not take {clip.pix_fmt}{what}"
    if hdr and not encoder.hdr:
        return "does not write the data of the mastering display"
    if min(size) < _MIN.get(name, 1):
        return f"takes no sides below {_MIN[name]} px"
    output = pyav(name).open(io.BytesIO(), "w", format=CONTAINERS[container].muxer)
    if encoder.alpha_beside and container not in encoder.alpha_beside and colour.layout(pix_fmt).alpha:
        return f"writes alpha beside the frames, which {container} cannot hold"
    if name not in output.supported_codecs:
        return f"writes {encoder.codec}, which {container} cannot hold"
    return ""


def _options(clip, encoder, wishes):
    """The options of an encoder."""
    name = next(key for key, value in ENCODERS.items() if value is encoder)
    options, params = dict(encoder.options), {}
    if wishes.crf is not None and encoder.crf is None:
        raise UserError(f"--crf {wishes.crf}: {name} has no such factor; leave it out")
    if encoder.crf is not None:
        crf = encoder.crf if wishes.crf is None else wishes.crf
        if not 0 <= crf <= encoder.worst:
            raise UserError(f"--crf {crf}: must be from 0 (best) to {encoder.worst} for {name}")
        options["crf"] = str(crf)
    if wishes.preset is not None and wishes.preset not in encoder.presets:
        has = f"choose one of {', '.join(encoder.presets)}" if encoder.presets else "it has none"
        raise UserError(f"--preset {wishes.preset}: is none of {name}; {has}")
    if encoder.presets:
        options[encoder.preset_option] = wishes.preset or encoder.preset
    options["g"] = str(SEGMENT)
    if name == "libx264":
        params["cpu-independent"] = 1  # else streams differ from run to run, by the sums of its tree of macroblocks
        if clip.display:
            params["mastering-display"] = clip.display
        if clip.light:
            params["cll"] = clip.light
    elif name == "libx265":
        params |= {"log-level": "none", "keyint": SEGMENT, "open-gop": 0}
        if clip.display or clip.light:
            params["hdr10"] = 1
        if clip.display:
            params["master-display"] = clip.display
        if clip.light:
            params["max-cll"] = clip.light
        if clip.colours.place == "topleft" and colour.layout(clip.pix_fmt).down == 2:
            params["chromaloc"] = 2
    elif name == "libsvtav1":
        if clip.display:
            params["mastering-display"] = colour.svt_master_display(clip.display)
        if clip.light:
            params["content-light"] = clip.light
    elif name == "ffv1":
        options["g"] = "1"
    elif name == "prores_ks":
        options |= {"profile": "4444" if clip.alpha or colour.layout(clip.pix_fmt).across == 1 else "hq"}
        del options["g"]
    if params:
        options[encoder.params] = ":".join(f"{key}={value}" for key, value in params.items())
    return options


def _notes(clip, encoder, pix_fmt, size, even):
    notes = []
    if even != size:
        notes.append(f"{size[1]}x{size[0]} became {even[1]}x{even[0]} by repeating the last row or column: {encoder} "
                     "writes even sides alone")
    if clip.colours.hdr:
        notes.append(f"is HDR ({clip.colours.hdr}): the network sees its codes as if they were of SDR, and they are "
                     "written with their tags and side data")
    if encoder == "libx264" and colour.layout(pix_fmt).bits > 8:
        notes.append("few players show H.264 of 10 bits; --codec libx265 is HEVC")
    before, after = colour.layout(clip.pix_fmt), colour.layout(pix_fmt)
    if (before.bits, before.grey) != (after.bits, after.grey) or colour.sampling(clip.pix_fmt) != colour.sampling(
            pix_fmt):
        notes.append(f"{clip.pix_fmt} is written as {pix_fmt}")
    return notes


def _copied(clip, container, without):
    """(indices of the streams that are copied, notes); UserError of one that another container could hold."""
    wanted = [index for index in clip.others if index not in without]
    copied, notes = [], []
    if not wanted:
        return (), []
    with read.opened(clip.path) as source:
        for index in wanted:
            stream = source.streams[index]
            if container in ("mp4", "mov") and stream.type == "data" and "timecode" in stream.metadata:
                continue  # made anew of the tag that the video stream has, too; copied, it has no rate and is refused
            if _holds(container, source, [index]):
                copied.append(index)
                continue
            if stream.type == "data" and source.chapters() and container in ("mp4", "mov"):
                continue  # the chapters' own, which is made anew
            others = [name for name in CONTAINERS if name != container and _holds(name, source, [index])]
            what = f"{stream.type} {stream.name or 'of an unknown codec'}"
            if others and stream.type != "data":
                raise UserError(f"{clip.path}: {container} cannot hold its stream {index} ({what}); choose "
                                f"--container {others[0]}, or --without {index} leaves it out")
            if stream.type in ("audio", "subtitle", "video") and not others:
                raise UserError(f"{clip.path}: no container that is written here holds its stream {index} ({what}); "
                                f"--without {index} leaves it out")
            notes.append(f"stream {index} ({what}) was left out: {container} cannot hold it")
    return tuple(copied), notes


def _holds(container, source, indices):
    """Whether a container takes these streams of an open file as they are."""
    av = pyav("a clip")
    try:
        with av.open(io.BytesIO(), "w", format=CONTAINERS[container].muxer) as output:
            for index in indices:
                add_copy(output, source.streams[index])
            start(output)
    except (ValueError, av.error.FFmpegError):  # FFmpeg's errors of another kind are OSErrors
        return False
    return True


def add_copy(output, stream):
    """Adds a stream of an open file, as it is, to one that is written; returns the new stream."""
    if stream.type == "attachment":
        added = output.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream",
                                      stream.data)
    else:
        added = output.add_stream_from_template(stream, opaque=True)
    added.metadata.update({key: value for key, value in stream.metadata.items() if key.lower() != "encoder"})
    added.disposition = stream.disposition
    return added


def _refused(clip, spec):
    """The reason why an encoder or a container refuses frames of a Spec, "" if they take them."""
    av = pyav("a clip")
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format=CONTAINERS[spec.container].muxer) as output:
            add_video(output, clip, spec)
            start(output)
    except (ValueError, av.error.FFmpegError) as e:
        said = e.log[2].strip() if getattr(e, "log", None) and e.log[2] else str(getattr(e, "strerror", None) or e)
        return f"refuses frames of {spec.width}x{spec.height} {spec.pix_fmt} ({said.lower()})"
    return ""


def add_video(output, clip, spec):
    """Adds the encoder of a Spec to an open file that is written; returns the stream, whose times count frames."""
    video = output.add_stream(spec.encoder, rate=clip.rate.limit_denominator(1 << 16),
                              options=dict(spec.options) | {"flags": "+cgop"})
    context = video.codec_context
    context.width, context.height, context.pix_fmt = spec.width, spec.height, spec.pix_fmt
    context.color_range, context.colorspace = clip.colours.range, clip.colours.matrix
    context.color_primaries, context.color_trc = clip.colours.primaries, clip.colours.transfer
    if clip.aspect:
        context.sample_aspect_ratio = clip.aspect
    return video



def start(output):
    """Writes the header of a file, for which its encoders begin; SVT-AV1 is kept quiet, and from real time."""
    with environment("SVT_LOG", "0"):
        call_apart(output.start_encoding, seconds=_OPENING_S, name="the encoder")
