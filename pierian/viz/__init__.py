"""The viz room: pictures. The only importer of matplotlib, inside the functions that draw.

May import: anything. To add a picture: a function in a file of its kind, with `path=None`: it
gives a figure, and writes it where a path is given.
"""

from pierian.viz.curves import plot_history, plot_losses, plot_lr_find, plot_schedule
from pierian.viz.histogram import plot_activations, plot_weights
from pierian.viz.images import Mistake, plot_top_losses, show_images, top_losses
from pierian.viz.matrix import plot_confusion_matrix
from pierian.viz.report import Report, report

__all__ = [
    "Mistake",
    "Report",
    "plot_activations",
    "plot_confusion_matrix",
    "plot_history",
    "plot_losses",
    "plot_lr_find",
    "plot_schedule",
    "plot_top_losses",
    "plot_weights",
    "report",
    "show_images",
    "top_losses",
]
