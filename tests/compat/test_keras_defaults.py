"""Names of the Keras face and their defaults, as Keras documents them."""

import importlib

import numpy as np
import pytest

import pierian as pr
from pierian.compat import keras
from pierian.compat.keras import initializers, layers, losses, ops, optimizers
from pierian.compat.keras.names import snake

RULES = {
    "SGD": {"lr": 0.01, "momentum": 0.0, "nesterov": False},
    "RMSprop": {"lr": 0.001, "alpha": 0.9, "eps": 1e-7, "momentum": 0.0, "centered": False},
    "Adam": {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-7, "amsgrad": False},
    "AdamW": {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-7, "weight_decay": 0.004},
    "Adagrad": {"lr": 0.001, "eps": 1e-7, "initial_accumulator_value": 0.1},
    "Adadelta": {"lr": 0.001, "rho": 0.95, "eps": 1e-7},
}
LAYERS = [
    (layers.BatchNormalization(), {"momentum": 0.99, "eps": 1e-3, "axis": -1}),
    (layers.LayerNormalization(), {"epsilon": 1e-3}),
    (layers.LeakyReLU(), {"negative_slope": 0.3}),
    (layers.Dropout(0.2), {"p": 0.2}),
    (layers.MaxPooling2D(), {"kernel_size": (2, 2), "data_format": "channels_last"}),
    (layers.Conv2D(4, 3), {"padding": "valid", "stride": (1, 1), "data_format": "channels_last"}),
]
# what a layer makes of (2, 4, 4, 3) without the batch
SHAPES = [
    (layers.Dense(5), (4, 4, 5)),
    (layers.Conv2D(5, 3), (2, 2, 5)),
    (layers.MaxPooling2D(), (2, 2, 3)),
    (layers.AveragePooling2D(), (2, 2, 3)),
    (layers.GlobalAveragePooling2D(), (3,)),
    (layers.GlobalMaxPooling2D(), (3,)),
    (layers.BatchNormalization(), (4, 4, 3)),
    (layers.LayerNormalization(), (4, 4, 3)),
    (layers.Activation("relu"), (4, 4, 3)),
    (layers.Flatten(), (48,)),
    (layers.Reshape((16, 3)), (16, 3)),
    (layers.Rescaling(1 / 255), (4, 4, 3)),
    (layers.Lambda(lambda x: x[:, 0]), (4, 3)),
]


@pytest.mark.parametrize("name", RULES)
def test_optimizers_have_the_defaults_of_keras(name):
    made = getattr(optimizers, name)()
    assert {key: made.defaults[key] for key in RULES[name]} == RULES[name]
    assert optimizers.get(name.lower()).defaults == made.defaults
    assert isinstance(made, getattr(pr.optim, name))


def test_optimizers_take_the_spellings_of_keras():
    adam = optimizers.Adam(0.1, beta_1=0.5, beta_2=0.6, epsilon=0.7)
    assert (adam.lr, adam.defaults["betas"], adam.defaults["eps"]) == (0.1, (0.5, 0.6), 0.7)
    assert optimizers.RMSprop(rho=0.3).defaults["alpha"] == 0.3
    adam.learning_rate = 0.2
    assert float(adam.learning_rate) == 0.2


@pytest.mark.parametrize(("layer", "settings"), LAYERS, ids=lambda x: type(x).__qualname__)
def test_layers_have_the_defaults_of_keras(layer, settings):
    assert {key: getattr(layer, key) for key in settings} == settings


@pytest.mark.parametrize(("layer", "shape"), SHAPES, ids=lambda x: type(x).__qualname__)
def test_layers_give_the_shapes_of_keras(layer, shape):
    x = np.zeros((2, 4, 4, 3), "float32")
    assert layer(x).shape == (2, *shape)
    assert layer(keras.Input((4, 4, 3))).shape == (None, *shape)


def test_dense_starts_glorot_uniform_with_zero_bias():
    dense = layers.Dense(200)
    dense.build((None, 100))
    kernel, bias = dense.get_weights()
    assert kernel.shape == (100, 200)
    assert not bias.any()
    bound = np.sqrt(6 / 300)
    assert 0.98 * bound < np.abs(kernel).max() <= bound


@pytest.mark.parametrize(
    ("initializer", "std"),
    [
        (initializers.RandomNormal(stddev=0.5), 0.5),
        (initializers.RandomUniform(-1, 1), 1 / np.sqrt(3)),
        (initializers.HeNormal(), np.sqrt(2 / 300)),
        (initializers.get("lecun_uniform"), np.sqrt(1 / 300)),
        (initializers.get("uniform"), 0.05 / np.sqrt(3)),
        (initializers.Zeros(), 0.0),
    ],
)
def test_initializers_count_inputs_as_keras_does(initializer, std):
    pr.manual_seed(0)
    assert initializer((300, 200)).shape == (300, 200)
    assert abs(np.std(np.asarray(initializer((300, 200)))) - std) < 0.02 * std + 1e-9


CASES = {  # on [[0, 1], [1, 0]] and [[0.2, 0.8], [0.4, 0.6]]
    "MeanSquaredError": 0.2,
    "MeanAbsoluteError": 0.4,
    "Huber": 0.1,
    "CategoricalCrossentropy": -(np.log(0.8) + np.log(0.4)) / 2,
    "BinaryCrossentropy": -(np.log(0.8) + np.log(0.4)) / 2,
    "KLDivergence": -(np.log(0.8) + np.log(0.4)) / 2,
}


@pytest.mark.parametrize("name", CASES)
def test_losses_take_truth_first_and_give_the_mean(name):
    truth, pred = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.4, 0.6]]
    loss = getattr(losses, name)
    assert float(loss()(truth, pred)) == pytest.approx(CASES[name], abs=1e-5)
    each = loss(reduction="none")(truth, pred)
    assert each.shape == (2,)
    assert float(loss(reduction="sum")(truth, pred)) == pytest.approx(2 * CASES[name], abs=1e-5)
    assert np.allclose(getattr(losses, snake(name))(truth, pred), each)


def test_sparse_loss_from_logits_is_that_of_their_softmax():
    logits = pr.randn(5, 3)
    labels = np.array([0, 1, 2, 1, 0])
    sparse = losses.SparseCategoricalCrossentropy
    expected = float(pr.nn.functional.cross_entropy(logits, pr.tensor(labels)))
    assert float(sparse(from_logits=True)(labels, logits)) == pytest.approx(expected, abs=1e-6)
    assert float(sparse()(labels, ops.softmax(logits))) == pytest.approx(expected, abs=1e-6)
    assert float(sparse()(labels[:, None], ops.softmax(logits))) == pytest.approx(expected)


def test_regression_targets_may_lack_the_last_axis():
    assert float(losses.MeanSquaredError()([1.0, 3.0], [[1.0], [1.0]])) == 2.0


OPS = [
    ("relu", ([-1.0, 2.0],), [0.0, 2.0]),
    ("softmax", ([0.0, 0.0],), [0.5, 0.5]),
    ("matmul", (np.eye(2), [[1.0], [2.0]]), [[1.0], [2.0]]),
    ("transpose", (np.arange(6).reshape(1, 2, 3),), np.arange(6).reshape(1, 2, 3).T),
    ("mean", ([True, False],), 0.5),
    ("var", ([1.0, 3.0],), 1.0),
    ("argmax", ([1, 3, 2],), 1),
    ("one_hot", ([1, 0], 3), [[0, 1, 0], [1, 0, 0]]),
    ("cast", ([1.7], "int32"), [1]),
    ("expand_dims", ([1.0], 0), [[1.0]]),
    ("concatenate", ([[1.0], [2.0]],), [1.0, 2.0]),
    ("clip", ([-1.0, 5.0], 0, 1), [0.0, 1.0]),
    ("zeros", ((2,),), [0.0, 0.0]),
    ("leaky_relu", ([-1.0],), [-0.2]),
    ("sort", ([2, 1],), [1, 2]),
    ("shape", (np.zeros((2, 3)),), (2, 3)),
]


@pytest.mark.parametrize(("name", "args", "expected"), OPS, ids=[case[0] for case in OPS])
def test_ops_are_those_of_keras(name, args, expected):
    given = [np.asarray(a) if isinstance(a, list) and name != "concatenate" else a for a in args]
    given = [list(map(np.asarray, a)) if name == "concatenate" else a for a in given]
    assert np.allclose(getattr(ops, name)(*given), expected)


def test_ints_of_different_kinds_compare():
    same = ops.argmax(np.eye(3), axis=1) == np.array([0, 1, 1], "uint8")
    assert float(ops.mean(same)) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "path",
    ["keras.layers", "keras.models", "keras.datasets", "keras.utils", "keras.optimizers",
     "keras.losses", "keras.metrics", "keras.ops", "keras.callbacks", "keras.initializers",
     "keras.activations", "keras.saving", "keras.config", "keras.random", "tensorflow.keras.layers",
     "tensorflow.nn", "tensorflow.math", "tensorflow.random", "tensorflow.linalg"],
)  # fmt: skip
def test_parts_are_imported_with_dots(path):
    importlib.import_module("pierian.compat.tensorflow")
    module = importlib.import_module(f"pierian.compat.{path}")
    with pytest.raises(AttributeError):
        _ = module._private
    if path != "tensorflow.random":
        assert not path.endswith("layers") or module.Dense is layers.Dense


def test_one_hot_rows_of_utils():
    assert keras.utils.to_categorical([2, 0]).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert keras.utils.to_categorical(np.array([[1], [0]]), 3).shape == (2, 3)


def test_metrics_take_truth_first():
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    accuracy.update_state([0, 1], [[0.1, 0.9], [0.2, 0.8]])
    assert (accuracy.result(), accuracy.name) == (0.5, "sparse_categorical_accuracy")
    accuracy.reset_state()
    assert np.isnan(accuracy.result())
    mean = keras.metrics.Mean(name="loss_so_far")
    mean.update_state(3.0)
    mean.update_state(pr.tensor(5.0))
    assert (mean.result(), mean.name) == (4.0, "loss_so_far")


def test_names_of_layers_are_numbered_as_in_keras():
    keras.config.clear_session()
    made = [layers.Dense(1), layers.Dense(1), layers.MaxPooling2D(), layers.Dense(1, name="head")]
    assert [layer.name for layer in made] == ["dense", "dense_1", "max_pooling2d", "head"]
