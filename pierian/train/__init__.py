"""The train room: one loop, Keras' verbs over it, and what they are told and tell.

May import: everything below (base, core, ops, nn, optim, metrics, data, io). `loop` is the loop;
`fit` the verbs; `recipe` what compile keeps; `feed` where batches come from; `losses` the names;
`callback` the events; `display` the progress. tqdm is imported when a bar is drawn.
"""

from pierian.train.callback import Callback, History
from pierian.train.fit import (
    evaluate,
    fit,
    predict,
    predict_on_batch,
    test_on_batch,
    train_on_batch,
)
from pierian.train.loop import DivergenceError
from pierian.train.recipe import compile

__all__ = [
    "Callback",
    "DivergenceError",
    "History",
    "compile",
    "evaluate",
    "fit",
    "predict",
    "predict_on_batch",
    "test_on_batch",
    "train_on_batch",
]
