"""A file per track; `python -m jsr.main --config=configs/<track>.py:<recipe>`."""
