"""Facts about networks, read off their traces without running them: counts, channels, how far they see."""
