"""`python -m abeyance`: the same as the script `abeyance`."""

import sys

from abeyance.cli import main

if __name__ == "__main__":
    sys.exit(main())
