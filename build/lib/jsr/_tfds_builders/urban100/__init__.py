"""The test set of a hundred photographs of buildings."""
