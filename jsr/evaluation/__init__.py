"""Judging: the scores of images, and of folders of images."""

from jsr.evaluation.scores import frame_scores, mean_scores, ranking_score, same_codecs, score

__all__ = ["frame_scores", "mean_scores", "ranking_score", "same_codecs", "score"]
