"""The version of Pierian, that files it writes carry. May import: nothing."""

__version__ = "0.1.0"
