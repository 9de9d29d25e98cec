"""`python -m jsr COMMAND`, the same thing as the script `jsr`."""

import sys

from jsr.cli import main

sys.exit(main())
