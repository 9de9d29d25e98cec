"""The test set of a hundred photographs from Berkeley."""
