"""Retrieval: a database of video frames that finds similar ones, as references for a refinement network.

NoahTerminalCV (AIM 2022, track 2; report, section 4.2): features of LR frames, by contrastive learning; HR frames as an
autoencoder's latents; an HNSW index over the features; of the frames found, the parts that match an image's patches by
normalised cross-correlation; a network that refines the image by them. `engine` has the two networks, `database` what
is stored, `build` makes it of videos, `match` aligns, `refine` does all of it for a frame.
"""
