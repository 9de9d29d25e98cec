"""The cubic kernel of interpolation."""


def cubic(distance, a):
    """The weight of a pixel, a float.

    Args:
      distance: distance of the pixel, px, at most 2.
      a: slope at distance 1: -0.75 in torch and OpenCV, -0.5 in Pillow and MATLAB. (Those two are followed bit for bit
        in jsr.degradations, in their own order of operations.)
    """
    d = abs(distance)
    return _inner(d, a) if d <= 1 else _outer(d, a)


def four(place, a):
    """The weights of the four pixels around a place, in order.

    Args:
      place: array of distances in [0, 1] from the second of them, px.
      a: see `cubic`.
    """
    return _outer(1 + place, a), _inner(place, a), _inner(1 - place, a), _outer(2 - place, a)


def _inner(d, a):
    return (a + 2) * d**3 - (a + 3) * d**2 + 1


def _outer(d, a):
    return a * (d**3 - 5 * d**2 + 8 * d - 4)
