"""Training: state, step, schedules, checkpoints and the loop."""
