"""The times of frames: every frame later than the one before, whatever a damaged file says."""

from fractions import Fraction

_JUMP_S = 1  # a step back by more is a break in the clock, by less a slip of one frame


class Clock:
    """Times of frames in the order in which they are shown, each after the one before.

    A time that is missing is one frame after the last; one that repeats or steps back a little is a tick after the
    last; where the clock jumps back, all that follows is moved behind the last frame.

    Args:
      time_base: seconds a tick, Fraction.
      rate: frames a second, Fraction, of frames without a duration.

    Attributes:
      missing, repeated: how many times were missing, and how many repeated or stepped back.
      jumps: [(index of the frame, seconds back)].
    """

    def __init__(self, time_base, rate):
        self.time_base, self._usual = time_base, max(1, round(1 / rate / time_base))
        self.missing, self.repeated, self.jumps = 0, 0, []
        self._last, self._step, self._offset, self._count = None, self._usual, 0, 0

    def __call__(self, pts, duration=0):
        """The time of the next frame, ticks; `pts` is what the file says, None nothing; `duration` 0 is not known."""
        if pts is None:
            self.missing += 1
            time = 0 if self._last is None else self._last + self._step
        else:
            time = pts + self._offset
            if self._last is not None and time <= self._last:
                back = self._last - time
                if back * self.time_base > _JUMP_S:
                    self.jumps.append((self._count, float(back * self.time_base)))
                    time = self._last + self._step
                    self._offset = time - pts
                else:
                    self.repeated += 1
                    time = self._last + 1
        self._step = duration or self._usual
        self._last, self._count = time, self._count + 1
        return time

    @property
    def notes(self):
        """Corrections made, in words."""
        found = []
        if self.missing:
            found.append(f"{plural(self.missing, 'frame')} had no time, and got one after the frame before")
        if self.repeated:
            found.append(f"{plural(self.repeated, 'time')} repeated or ran backwards, and is now a tick after the one "
                         "before")
        for frame, seconds in self.jumps[:3]:
            found.append(f"the clock jumps back by {seconds:.2f} s at frame {frame}; what follows was moved behind it")
        return found


def decode_times(times):
    """When packets are to be decoded, ticks, of the times of all their frames in the order of coding.

    Args:
      times: list of ints, each once.

    Returns:
      A list: it grows, and no time is after that of its frame. Coding order is later than showing order by as few
      frames as possible; those before the first frame are a frame apart.
    """
    shown = sorted(times)
    delay = 0
    for index, time in enumerate(times):
        while shown[max(index - delay, 0)] > time:
            delay += 1
    step = max(1, shown[1] - shown[0]) if len(shown) > 1 else 1
    return [shown[index - delay] if index >= delay else shown[0] - (delay - index) * step
            for index in range(len(times))]


def plural(count, what):
    """"1 frame", "2 frames"."""
    return f"{count} {what}{'s' * (count != 1)}"


def seconds(text):
    """Seconds, Fraction, of "90", "1:30" or "0:01:30.5"; ValueError of what is no time."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(parts) or any(part.strip("0123456789") not in ("", ".") for part in parts):
        raise ValueError(text)
    found = Fraction(0)
    for part in parts:
        found = found * 60 + Fraction(part)
    return found
