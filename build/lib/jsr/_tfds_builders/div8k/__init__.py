"""DIV8K: 1500 photographs of up to 8K resolution."""
