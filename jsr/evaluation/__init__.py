"""Judging: the scores of images, and of folders of images."""

from jsr.evaluation.scores import gain, mean_scores, ranking_score, score

__all__ = ["gain", "mean_scores", "ranking_score", "score"]
