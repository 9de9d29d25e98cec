"""Judging: the scores of images, and of folders of images."""

from jsr.evaluation.scores import mean_scores, ranking_score, same_codecs, score

__all__ = ["mean_scores", "ranking_score", "same_codecs", "score"]
