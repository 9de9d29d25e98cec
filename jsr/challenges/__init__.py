"""Challenges: their scores, images and rules, and their published tables.

A challenge is a file of data, `jsr/challenges/ais24.py` for one: a `Protocol` for each of its tracks, which names its
table, `tables/<table>.csv`, one line an entry, the report's figures as printed. Benchmarks of clean images are such a
file too, without a table.
"""

from jsr.challenges.entries import TABLES, figures, level, printed, published, table
from jsr.challenges.known import CHALLENGES, PROTOCOLS, of, protocol
from jsr.challenges.limits import excess, kept, verdict
from jsr.challenges.ranking import BASELINE_TOLERANCE_DB, Standing, same_images, score, standing
from jsr.challenges.rules import Protocol, Submission, Timing, column, label

__all__ = ["BASELINE_TOLERANCE_DB", "CHALLENGES", "PROTOCOLS", "TABLES", "Protocol", "Standing", "Submission", "Timing",
           "column", "excess", "figures", "kept", "label", "level", "of", "printed", "protocol", "published",
           "same_images", "score", "standing", "table", "verdict"]
