"""``python -m regnetlab``: the same as the console script."""

import sys

from regnetlab.cli import main

sys.exit(main())
