"""Images of the user's own."""
