"""4K RTSR: 110 test images of at least 4K resolution."""
