"""A person's clips: read frame by frame, written in segments, joined with the file's other streams.

Frames alone go through networks; every other stream is copied packet by packet. Times, chapters, attachments, tags,
rotation, the shape of pixels and the data of HDR stay. What is done of a clip lies in closed segments beside the result
until it is whole, so that a killed run goes on.

    clip = clips.inspect("in.mkv")
    how = clips.specify(clip, (2 * clip.height, 2 * clip.width), "mkv", clips.Wishes())
    segments = clips.Segments("out.mkv", source_sha256, settings)
    with clips.Writer(segments, clip, how) as writer:
        for shown in clips.Frames(clip):
            writer.write(shown, enlarge(clips.to_rgb(shown.frame, clip.colours)))
    clips.join(clip, how, segments, "out.mkv")
"""

from jsr.clips.clock import seconds
from jsr.clips.colour import to_rgb
from jsr.clips.folders import FolderFrames, FrameWriter, digest, inspect_folder
from jsr.clips.formats import CONTAINERS, ENCODERS, OTHERWISE, READABLE, container_of, ending, is_clip
from jsr.clips.join import join
from jsr.clips.read import Clip, Frames, Shown, inspect, light, made_by
from jsr.clips.segments import Segments, Writer, folder_of
from jsr.clips.spec import SEGMENT, Spec, Wishes, specify

__all__ = ["CONTAINERS", "ENCODERS", "OTHERWISE", "READABLE", "SEGMENT", "Clip", "FolderFrames", "FrameWriter",
           "Frames", "Segments", "Shown", "Spec", "Wishes", "Writer", "container_of", "digest", "ending", "folder_of",
           "inspect", "inspect_folder", "is_clip", "join", "light", "made_by", "seconds", "specify", "to_rgb"]
