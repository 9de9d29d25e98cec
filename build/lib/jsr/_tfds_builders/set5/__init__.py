"""The test set of five images."""
