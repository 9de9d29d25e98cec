"""Videos of the user's."""
