"""``python -m dolphin``."""

import sys

from dolphin.cli import main

sys.exit(main())
