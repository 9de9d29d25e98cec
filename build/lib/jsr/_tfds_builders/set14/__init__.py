"""The test set of fourteen images."""
