"""Datasets to batches: sources, crops, and the pipeline that runs them in worker processes."""
