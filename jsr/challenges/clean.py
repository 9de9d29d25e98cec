"""No challenge: how papers score Set5, Set14, BSD100 and Urban100, a grey image as RGB.

LR is what they call bicubic, MATLAB's imresize of uint8 images. The bicubic rows of their tables are older: the luma
alone was shrunk and enlarged, and grey levels were scored as such (Set14: -0.09 dB).
"""

from jsr.challenges.rules import Protocol

TRACKS = tuple(Protocol(
    name=f"bicubic_x{scale}", title=f"super-resolution of clean images (x{scale}, MATLAB's bicubic)", scale=scale,
    degradation=({"fn": "matlab_bicubic", "scale": scale}, {"fn": "png"}),
    keys=("psnr[y_601]", "ssim[y_601]", "psnr[rgb]"), ranking="psnr[y_601]", crop_border=scale,
    kernel="matlab_bicubic") for scale in (2, 3, 4))
