"""Joins segments and the source's other streams into one file; the others are copied packet by packet."""

import contextlib
from fractions import Fraction
import heapq

from jsr.clips import read, spec
from jsr.clips.clock import decode_times, plural
from jsr.clips.formats import CONTAINERS
from jsr.errors import UserError
from jsr.native import pyav

# Of the video stream as it was, or of the program that wrote it.
_STALE = ("bps", "number_of", "_statistics", "duration", "encoder", "vendor_id")
_OF_CONTAINER = {"major_brand", "minor_version", "compatible_brands", "encoder", "encoding_tool", "jsr"}
_TIMECODE = ("timecode",)  # of the first frame of all
_APPLE = ("mp4", "mov")
_MP4_TITLES, _NO_TITLE = "mov_text", bytes(2)
_MS = Fraction(1, 1000)


def join(clip, how, segments, file, *, mark="", start=None, end=None):
    """Writes the whole result.

    Args:
      clip: jsr.clips.read.Clip.
      how: jsr.clips.spec.Spec.
      segments: jsr.clips.segments.Segments, all finished.
      file: open binary file, which is written.
      mark: text that says what made it, "" of none.
      start, end: s from the first frame, Fraction or None, outside of which copied packets are left out; what is at
        `start` comes to time 0.

    Returns:
      [note], of what could not be kept exactly.

    Raises:
      UserError: the container refuses the streams.
    """
    av = pyav("a clip")
    entries = [segments.finished[number] for number in sorted(segments.finished)]
    times = [time for entry in entries for time in entry["times"]]
    origin = times[0] if start is not None else 0
    form, notes = CONTAINERS[how.container], []
    late = start is not None and origin > clip.first
    stale, dropped = (_STALE + _TIMECODE, _OF_CONTAINER.union(_TIMECODE)) if late else (_STALE, _OF_CONTAINER)
    options = {"video_track_timescale": str(clip.time_base.denominator)} if how.container in _APPLE else {}
    if how.container == "mov":  # all keys are kept, as those of telephones
        options["movflags"] = "use_metadata_tags"
    with contextlib.nullcontext() if clip.is_folder else read.opened(clip.path) as source:
        try:
            with av.open(file, "w", format=form.muxer, container_options=options) as output:
                with read.opened(segments.path(0)) as first:
                    video, copies = _streams(source, first, output, clip, how, stale)
                    if source:
                        output.metadata.update({key: value for key, value in source.metadata.items()
                                                if key.lower() not in dropped})
                        if late and any(key.lower() in _TIMECODE for holder in (source, source.streams[clip.stream])
                                        for key in holder.metadata):
                            notes.append("the time code was left out: a part begins at another")
                        output.set_chapters(_chapters(source, clip, origin, start, end))
                    if mark and form.mark not in output.metadata:
                        output.metadata[form.mark] = read.MARK + mark
                    spec.start(output)
                tick = video.time_base
                if tick > clip.time_base and any((time * clip.time_base / tick).denominator > 1 for time in times):
                    notes.append(f"{how.container} counts time in steps of {float(tick) * 1000:g} ms, to which times "
                                 "were rounded")
                repaired = {}
                packets = heapq.merge(_encoded(segments, times, entries, video, clip, origin),
                                      _copied(source, clip, copies, origin, start, end, repaired),
                                      key=lambda row: row[0])
                for _, packet in packets:
                    output.mux_one(packet)
                for index, count in repaired.items():
                    notes.append(f"{plural(count, 'time')} of stream {index} repeated or ran backwards, and is now a "
                                 "tick after the one before")
        except (ValueError, av.error.FFmpegError) as e:
            if isinstance(e, OSError) and e.errno:
                raise
            raise UserError(f"{clip.path}: {how.container} refuses its streams: {getattr(e, 'strerror', None) or e}; "
                            "choose another --container") from e
    return notes


def _streams(source, first, output, clip, how, stale):
    """Adds the streams in the order of the source; returns (the video's, {index of the source: stream}).

    `stale`: beginnings of the video's keys that are not copied.
    """
    copies, video, encoded = {}, None, first.streams.video[0]
    for stream in source.streams if source else [encoded]:
        if stream is encoded or stream.index == clip.stream:
            video = output.add_stream_from_template(encoded, opaque=True)
            video.time_base, video.codec_context.framerate = clip.time_base, clip.rate.limit_denominator(1 << 16)
            video.metadata.update({key: value for key, value in stream.metadata.items()
                                   if not key.lower().startswith(stale)})
            video.metadata.update({key: value for key, value in encoded.metadata.items()
                                   if key.lower() == "alpha_mode"})
            video.disposition = stream.disposition
            if how.encoder == "libx265" and how.container in _APPLE:
                video.codec_context.codec_tag = "hvc1"  # the only one that Apple's players take
            if clip.matrix:
                video.set_display_matrix(clip.matrix)
        elif stream.index in how.copied:
            copies[stream.index] = spec.add_copy(output, stream)
    return video, copies


def _encoded(segments, times, entries, video, clip, origin):
    """The packets of all segments with the source's times: (seconds, packet) in the order of coding."""
    durations = [after - before for before, after in zip(times, times[1:], strict=False)]
    durations.append(entries[-1]["duration"] or (durations[-1] if durations else round(1 / clip.rate / clip.time_base)))
    shown, shift = [], 0
    for number, entry in enumerate(entries):
        shown += [shift + place for place in _places(segments, number)]
        shift += len(entry["times"])
    decoded = decode_times([times[index] for index in shown])
    place, extradata, shift = 0, None, 0
    for number in range(len(entries)):
        with read.opened(segments.path(number)) as segment:
            stream = segment.streams.video[0]
            if extradata not in (None, stream.codec_context.extradata):
                raise UserError(f"{clip.path}: the encoder wrote other headers in segment {number}; remove "
                                f"{segments.folder} and run the command again")
            extradata = stream.codec_context.extradata
            for packet in segment.demux(stream):
                if not packet.size:
                    continue
                index = shown[place]
                packet.pts, packet.dts = times[index] - origin, decoded[place] - origin
                packet.time_base, packet.duration, packet.stream = clip.time_base, durations[index], video
                place += 1
                yield float((decoded[place - 1] - origin) * clip.time_base), packet


def _places(segments, number):
    """The frames of a segment in the order of its packets, which is the order of coding."""
    with read.opened(segments.path(number)) as segment:
        times = [packet.pts for packet in segment.demux(video=0) if packet.size]
    order = {time: place for place, time in enumerate(sorted(times))}
    return [order[time] for time in times]


def _copied(source, clip, copies, origin, start, end, repaired):
    """The packets of the streams that are copied, as (seconds, packet)."""
    error = pyav("a clip").error.FFmpegError
    wanted = [source.streams[index] for index in copies if source.streams[index].type != "attachment"]
    if not wanted:
        return
    first = clip.first * clip.time_base
    low = None if start is None else first + start
    high = None if end is None else first + end
    shift, last, latest = origin * clip.time_base, {}, 0.0
    packets = _with_decode_times(_readable(source.demux(wanted), error))
    for packet in packets:
        index = packet.stream.index
        if source.streams[index].name == _MP4_TITLES and bytes(packet) == _NO_TITLE:
            continue  # the muxer makes those between titles anew
        cover = bool(source.streams[index].disposition & source.streams[index].disposition.__class__.attached_pic)
        base = packet.time_base or source.streams[index].time_base
        time = packet.dts if packet.dts is not None else packet.pts
        if not cover and time is not None:
            begins = (packet.pts if packet.pts is not None else time) * base
            if low is not None and begins < low or high is not None and begins >= high:
                continue
            if packet.is_discard and begins >= first:
                continue
            moved = round(shift / base)
            if packet.pts is not None:
                packet.pts -= moved
            packet.dts = time - moved
            if index in last and packet.dts <= last[index]:
                repaired[index] = repaired.get(index, 0) + 1
                packet.dts = last[index] + 1
                packet.pts = max(packet.pts if packet.pts is not None else packet.dts, packet.dts)
            last[index] = packet.dts
            latest = max(latest, float(packet.dts * base))
        packet.stream = copies[index]
        yield latest, packet


def _readable(packets, error):
    """Packets with content, as far as the file can be read."""
    while True:
        try:
            packet = next(packets)
        except (StopIteration, error):
            return
        if packet.size:
            yield packet


def _with_decode_times(packets):
    """Packets of which Matroska's first, whose frames are coded in another order than shown, get times of decoding."""
    waiting = {}
    for packet in packets:
        index = packet.stream.index
        held = waiting.setdefault(index, []) if packet.stream.type == "video" else None
        if held is None:
            yield packet
            continue
        if packet.dts is None and packet.pts is not None:
            held.append(packet)
            continue
        if packet.dts is not None:
            yield from _before(packet.dts, held)
        yield packet
    for held in waiting.values():
        yield from _before(max((packet.pts for packet in held), default=0) + 1, held)


def _before(time, held):
    """Empties a list of packets that were held back; each gets its time of decoding, before `time`."""
    for index, packet in enumerate(held):
        step = max(1, packet.duration or 0)
        packet.dts = min(packet.pts, time - (len(held) - index) * step)
    packets = held[:]
    held.clear()
    return packets


def _chapters(source, clip, origin, start, end):
    """The chapters of the source; for a part they are cut to it and moved."""
    found, first = [], clip.first * clip.time_base
    for chapter in source.chapters():
        base = chapter["time_base"]
        low, high = chapter["start"] * base, chapter["end"] * base
        if start is not None or end is not None:
            low = max(low, first + (start or 0))
            high = high if end is None else min(high, first + end)
            if low >= high:
                continue
        shift = origin * clip.time_base
        found.append(chapter | {"start": round((low - shift) / _MS), "end": round((high - shift) / _MS),
                                "time_base": _MS} if start is not None or end is not None else chapter)
    return found
