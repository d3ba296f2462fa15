"""`python -m pierian`. May import: cli."""

import sys

from pierian.cli import main

if __name__ == "__main__":
    sys.exit(main())
