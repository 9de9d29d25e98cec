"""Colours of the data that published networks were trained on."""

RGB_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K's training images, in [0, 1]
