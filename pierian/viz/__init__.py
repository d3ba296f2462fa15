"""The viz room: pictures. The only importer of matplotlib, inside the functions that draw.

May import: anything. To add a picture: a function in a file of its kind, with `path=None`: it
gives a figure, and writes it where a path is given.
"""

from pierian.viz.curves import plot_history, plot_losses, plot_lr_find, plot_schedule
from pierian.viz.drawing import Drawing
from pierian.viz.filters import plot_weights_as_images
from pierian.viz.function import plot_descent, plot_function
from pierian.viz.geometry import plot_geometry
from pierian.viz.graph import graph
from pierian.viz.histogram import plot_activations, plot_weights
from pierian.viz.images import Mistake, plot_top_losses, show_image, show_images, top_losses
from pierian.viz.loop import show_loop
from pierian.viz.matrix import plot_confusion_matrix
from pierian.viz.report import Report, report
from pierian.viz.spirals import spirals, unfold_spirals
from pierian.viz.surface import plot_loss_surface

__all__ = [
    "Drawing",
    "Mistake",
    "Report",
    "graph",
    "plot_activations",
    "plot_confusion_matrix",
    "plot_descent",
    "plot_function",
    "plot_geometry",
    "plot_history",
    "plot_loss_surface",
    "plot_losses",
    "plot_lr_find",
    "plot_schedule",
    "plot_top_losses",
    "plot_weights",
    "plot_weights_as_images",
    "report",
    "show_image",
    "show_images",
    "show_loop",
    "spirals",
    "top_losses",
    "unfold_spirals",
]
