"""Judging: the scores of images, and of folders of images."""

from jsr.evaluation.scores import mean_scores, ranking_score, score

__all__ = ["mean_scores", "ranking_score", "score"]
