"""The cubic kernel of interpolation."""


def cubic(distance, a):
    """The weight of a pixel, a float.

    Args:
      distance: distance of the pixel, px, at most 2.
      a: slope at distance 1: -0.75 in torch and OpenCV, -0.5 in Pillow and MATLAB. (Those two are followed bit for bit
        in jsr.degradations, in their own order of operations.)
    """
    d = abs(distance)
    return (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4)
