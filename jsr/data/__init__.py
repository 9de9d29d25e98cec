"""Datasets to batches: sources, crops, augmentation, and the pipeline that runs them in worker processes."""
