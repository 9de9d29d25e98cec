"""DIV2K: 900 photographs of 2K resolution."""
