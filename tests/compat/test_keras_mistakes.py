"""Typical mistakes of readers: each message leads to the repair."""

import numpy as np
import pytest

import pierian.compat.tensorflow as tf
from pierian.compat import keras
from pierian.compat.keras import layers, losses, ops

IMAGES = np.zeros((8, 28, 28), "float32")
ROWS = IMAGES.reshape(8, 784)
LABELS = np.arange(8) % 10


def digits(*shape, loss="sparse_categorical_crossentropy", last="softmax", flat=False):
    first = [layers.Flatten()] if flat else []
    model = keras.Sequential(
        [keras.Input(shape or (784,)), *first, layers.Dense(4, "relu"), layers.Dense(10, last)]
    )
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def fit(x, y, *shape, **options):
    return digits(*shape, **options).fit(x, y, verbose=0)


def once_used_tape():
    x = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    tape.gradient(y, x)


class WithoutCall(layers.Layer):
    pass


def outside(function):
    x = keras.Input((4,))
    return function(x)


MISTAKES = [
    ("forgotten reshape", lambda: fit(IMAGES, LABELS), "Flatten"),
    ("wrong shape", lambda: fit(ROWS[:, :700], LABELS), "784"),
    ("forgotten compile", lambda: keras.Sequential([layers.Dense(1)]).fit(ROWS, LABELS), "compile"),
    ("labels not one-hot", lambda: fit(ROWS, LABELS, loss="categorical_crossentropy"),
     "sparse_categorical_crossentropy"),
    ("one-hot labels, sparse loss", lambda: fit(ROWS, keras.utils.to_categorical(LABELS, 10)),
     "categorical_crossentropy"),
    ("label out of range", lambda: fit(ROWS, LABELS + 5), "0 <= label < 10"),
    ("logits taken for probabilities", lambda: fit(ROWS + 1, LABELS, last=None), "softmax"),
    ("softmax twice", lambda: fit(ROWS, LABELS,
     loss=losses.SparseCategoricalCrossentropy(from_logits=True)), "from_logits"),
    ("unknown optimizer", lambda: digits().compile("adamm", "mse"), "adam"),
    ("unknown loss", lambda: digits().compile("adam", "crossentropy"), "cross_entropy"),
    ("unknown activation", lambda: layers.Dense(3, activation="rellu"), "relu"),
    ("different lengths", lambda: fit(ROWS, LABELS[:5]), "5"),
    ("weights before they exist", lambda: keras.Sequential([layers.Dense(1)]).weights, "build"),
    ("a tape used twice", once_used_tape, "persistent=True"),
    ("no gradient", lambda: keras.optimizers.SGD().apply_gradients([(None, tf.Variable(1.0))]),
     "inside the tape"),
    ("assign another shape", lambda: tf.Variable(tf.zeros(3)).assign(tf.zeros(4)), "shape"),
    ("a layer that is not there", lambda: layers.LSTM, "Layer's call"),
    ("a class in place of a layer", lambda: keras.Sequential([layers.Flatten]), "Flatten()"),
    ("a layer without call", lambda: WithoutCall()(ROWS), "def call"),
    ("NumPy on a symbol", lambda: outside(np.exp), "keras.ops"),
    ("inputs left out", lambda: keras.Model(keras.Input((4,)), outside(layers.Dense(2))), "every"),
    ("batch axis in Input", lambda: keras.Input((None, 4)), "shape"),
    ("clipping in the optimizer", lambda: keras.optimizers.Adam(clipnorm=1.0), "GradientClip"),
    ("a regularizer", lambda: layers.Dense(2, kernel_regularizer="l2"), "weight_decay"),
    ("channels forgotten", lambda: layers.Conv2D(4, 3)(IMAGES), "unsqueeze"),
    ("float labels to one-hot rows", lambda: keras.utils.to_categorical([0.5]), "int64"),
    ("rows that do not match", lambda: ops.matmul(np.ones((2, 3)), np.ones((2, 3))), "3"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "told"), [case[1:] for case in MISTAKES],
                         ids=[case[0] for case in MISTAKES])  # fmt: skip
def test_the_message_leads_to_the_repair(act, told):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        act()
    assert told in str(caught.value)
    assert isinstance(caught.value, ValueError | TypeError | RuntimeError | AttributeError)


def test_missing_names_are_explained_on_import_too():
    with pytest.raises(ImportError, match="recurrent"):
        from pierian.compat.keras.layers import GRU  # noqa: F401
    with pytest.raises(ImportError, match="DataLoader"):
        from pierian.compat.tensorflow import data  # noqa: F401
    with pytest.raises(AttributeError, match="DataLoader"):
        _ = tf.data
    with pytest.raises(AttributeError, match="Use Dense"):
        _ = layers.Dens
    assert not hasattr(layers, "GRU")
