"""Making datasets: originals are found, degraded and written as records."""
