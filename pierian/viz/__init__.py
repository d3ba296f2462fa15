"""The viz room: pictures. The only importer of matplotlib, inside the functions that draw.

May import: anything. To add a picture: a function in a file of its kind, with `path=None`: it
gives a figure, and writes it where a path is given.
"""

from pierian.viz.curves import plot_history

__all__ = ["plot_history"]
