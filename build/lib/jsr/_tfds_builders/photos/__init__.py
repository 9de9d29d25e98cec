"""Eight photographs, for a first run without any download."""
