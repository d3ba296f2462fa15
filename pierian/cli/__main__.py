"""`python -m pierian.cli`. May import: this room."""

import sys

from pierian.cli import main

if __name__ == "__main__":
    sys.exit(main())
