"""LDV 3.0: the videos of AIM 2022 compressed SR, Track 2."""
