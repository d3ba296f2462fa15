"""Three ways to build a model give one model, which trains, saves and loads as those of `pr.nn`."""

import copy
import pickle

import numpy as np
import pytest

import pierian as pr
from pierian.compat import keras
from pierian.compat.keras import layers, losses, ops

rng = np.random.default_rng(0)
X = rng.normal(size=(96, 6)).astype("float32")
Y = (X[:, 0] > X[:, 1]).astype("int64")


def sequential():
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dropout(0.5),
         layers.Dense(2, activation="softmax")]
    )  # fmt: skip


def functional():
    inputs = keras.Input(shape=(6,))
    x = layers.Dense(8, activation="relu")(inputs)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs=inputs, outputs=layers.Dense(2, activation="softmax")(x))


@keras.saving.register_keras_serializable()
class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(8, activation="relu")
        self.drop = layers.Dropout(0.5)
        self.out = layers.Dense(2, activation="softmax")

    def call(self, x, training=None):
        return self.out(self.drop(self.hidden(x), training=training))


@keras.saving.register_keras_serializable()
class Own(layers.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, input_shape):
        super().build(input_shape)
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="he_normal")
        self.count = self.add_weight(initializer="zeros", trainable=False)
        self.built = True

    def call(self, x):
        return ops.matmul(x, self.w)


def trained(make, weights=None):
    keras.utils.set_random_seed(1)
    model = make()
    if not model.built:
        model.build((None, 6))
    model.set_weights(weights or model.get_weights())
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras.utils.set_random_seed(2)
    history = model.fit(X, Y, epochs=2, batch_size=16, verbose=0)
    return model, history.history["loss"]


def test_the_three_ways_give_the_same_numbers():
    weights = sequential().get_weights()
    results = [trained(make, weights) for make in (sequential, functional, Subclass)]
    assert results[0][1] == results[1][1] == results[2][1]
    probabilities = [model.predict(X, verbose=0) for model, _ in results]
    assert np.array_equal(probabilities[0], probabilities[1])
    assert np.array_equal(probabilities[0], probabilities[2])


def test_fit_is_that_of_pierian():
    model, found = trained(sequential)
    plain = pr.nn.Sequential(pr.nn.Dense(8, "relu"), pr.nn.Dropout(0.5), pr.nn.Dense(2, "softmax"))
    plain.build((6,))
    keras.utils.set_random_seed(1)
    plain.load_state_dict(dict(zip(plain.state_dict(), sequential().weights, strict=True)))
    plain.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras.utils.set_random_seed(2)
    expected = plain.fit(X, Y, epochs=2, batch_size=16, verbose=0).history["loss"]
    assert found == expected
    assert type(model).fit is pr.nn.Module.fit


def test_calling_is_inference_unless_training_is_said():
    model = sequential()
    assert np.array_equal(model(X), model(X))
    assert not np.array_equal(model(X, training=True), model(X, training=True))
    assert np.array_equal(model(X), model.predict(X, verbose=0))
    assert not model.training


def test_layers_of_a_graph_stay_in_the_mode_they_were_called_in(tmp_path):
    x = keras.Input((6,))
    norm = layers.BatchNormalization()
    model = keras.Model(x, layers.Dropout(0.5)(norm(x, training=False), training=True))
    statistics = [buffer.numpy().copy() for buffer in norm.buffers()]
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    found = [buffer.numpy() for buffer in norm.buffers()]
    assert all(np.array_equal(a, b) for a, b in zip(found, statistics, strict=True))
    model.save(tmp_path / "model.keras")
    for one in (model, keras.models.load_model(tmp_path / "model.keras")):
        assert not np.array_equal(one(X), one(X))


@pytest.mark.parametrize("make", [sequential, functional, Subclass], ids=lambda f: f.__name__)
def test_models_are_saved_copied_and_pickled(make, tmp_path):
    model, _ = trained(make)
    expected = model.predict(X, verbose=0)
    model.save(tmp_path / "model.keras")
    again = [keras.models.load_model(tmp_path / "model.keras"), copy.deepcopy(model),
             pickle.loads(pickle.dumps(model))]  # fmt: skip
    for other in again:
        assert np.array_equal(other.predict(X, verbose=0), expected)
    model.save_weights(tmp_path / "weights")
    fresh = make()
    fresh.build((None, 6))
    fresh.load_weights(tmp_path / "weights")
    assert np.array_equal(fresh.predict(X, verbose=0), expected)


def residual():
    image, extra = keras.Input((4, 4, 1)), keras.Input((3,))
    x = layers.Conv2D(3, 3, padding="same")(image)
    shared = layers.Conv2D(3, 1)
    x = layers.add([shared(x), shared(x * 2.0)])
    x = ops.relu(layers.BatchNormalization()(x))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), 1.0 + extra])
    return keras.Model([image, extra], [layers.Dense(1)(x), ops.max(x, axis=-1)])


def test_graphs_with_branches_sharing_and_functions_run_and_are_saved(tmp_path):
    model = residual()
    given = rng.normal(size=(2, 4, 4, 1)).astype("float32"), np.ones((2, 3), "float32")
    out = model(list(given))
    assert [part.shape for part in out] == [(2, 1), (2,)]
    assert len([layer for layer in model.layers if isinstance(layer, layers.Conv2D)]) == 2
    model.save(tmp_path / "graph.keras")
    again = keras.models.load_model(tmp_path / "graph.keras")(list(given))
    assert all(np.array_equal(a, b) for a, b in zip(out, again, strict=True))


def test_layers_of_the_users_build_once_train_and_are_saved(tmp_path):
    model = keras.Sequential([Own(4), layers.LayerNormalization(), layers.Dense(2)])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    first = model.evaluate(X, Y, verbose=0)[0]
    model.fit(X, Y, epochs=3, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[0] < first
    own = model.layers[0]
    assert [w.shape for w in own.weights] == [(6, 4), ()]
    assert len(own.trainable_variables) == 1
    assert len(own.non_trainable_weights) == 1
    model.save(tmp_path / "own.keras")
    again = keras.models.load_model(tmp_path / "own.keras")
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_sequential_grows_and_shrinks():
    model = keras.models.Sequential(name="tower")
    model.add(layers.Dense(3, input_shape=(6,), name="first"))
    model.add(layers.Dense(2))
    assert (len(model.layers), model.count_params()) == (2, 29)
    assert model.get_layer("first") is model.layers[0] is model.get_layer(index=0)
    assert isinstance(model.pop(), layers.Dense)
    assert (len(model.layers), model(X).shape, model.name) == (1, (96, 3), "tower")


def test_embedding_takes_whole_numbers():
    model = keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(10, 4)])
    assert model(np.ones((2, 5), int)).shape == (2, 5, 4)
    assert np.abs(model.get_weights()[0]).max() <= 0.05


def test_summary_prints_the_layers(capsys):
    sequential().summary()
    text = capsys.readouterr().out
    assert "keras.Dense" in text
    assert "74" in text  # 6·8 + 8 + 8·2 + 2


def test_weights_go_in_and_out_in_the_layout_of_keras():
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(5, 2), layers.Flatten(),
                              layers.Dense(7)])  # fmt: skip
    kernels = model.get_weights()
    assert [w.shape for w in kernels] == [(2, 2, 3, 5), (5,), (45, 7), (7,)]
    model.set_weights([np.full_like(w, i) for i, w in enumerate(kernels)])
    assert [float(w.max()) for w in model.get_weights()] == [0, 1, 2, 3]
    x = rng.normal(size=(1, 2, 2, 3)).astype("float32")
    conv = layers.Conv2D(5, 2)
    conv(x)
    w, b = conv.get_weights()
    assert np.allclose(conv(x)[0, 0, 0], np.tensordot(x[0], w, 3) + b, atol=1e-5)


def test_frozen_layers_stay():
    model = sequential()
    model.layers[0].trainable = False
    assert len(model.trainable_weights) == 2
    before = model.get_weights()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    after = model.get_weights()
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [True, True, False, False]


def test_callbacks_of_keras_run(tmp_path):
    model = sequential()
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", "loss", save_best_only=True)
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=10.0)
    history = model.fit(X, Y, epochs=9, verbose=0, callbacks=[best, stop])
    assert 1 <= len(history.history["loss"]) < 9
    assert keras.models.load_model(tmp_path / "best.keras").count_params() == 74


def test_own_losses_and_functions_are_taken():
    class Own(keras.losses.Loss):
        def __init__(self, power):
            super().__init__()
            self.power = power

        def call(self, y_true, y_pred):
            return ops.mean(ops.abs(y_true - y_pred) ** self.power, axis=-1)

    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    results = []
    for loss in (Own(2), "mse", losses.mean_squared_error, losses.MeanSquaredError,
                 lambda y, p: ops.mean((y - p) ** 2, axis=-1)):  # fmt: skip
        model.compile("sgd", loss)
        results.append(model.evaluate(X, X[:, :1], verbose=0))
    assert results == pytest.approx([results[0]] * 5, abs=1e-6)


CALLED = [(ops, "gelu"), (keras.activations, "gelu"), (ops, "softmax"), (ops, "square")]


@pytest.mark.parametrize(("house", "name"), CALLED, ids=lambda x: getattr(x, "__name__", x))
def test_functions_of_a_graph_are_those_that_were_called(house, name):
    x, fn = keras.Input((6,)), getattr(house, name)
    assert np.array_equal(keras.Model(x, fn(x))(X), fn(X))


def test_several_inputs_are_a_list_as_in_keras():
    one, two = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([one, two], layers.Dense(1)(layers.Concatenate()([one, two])))
    x = rng.normal(size=(40, 3)).astype("float32")
    model.compile("adam", "mse")
    history = model.fit([x, 2 * x], x[:, :1], validation_split=0.25, verbose=0).history
    assert history.keys() == {"loss", "val_loss"}
    expected = model([x, 2 * x]).numpy()
    assert np.allclose(model.predict([x, 2 * x], verbose=0), expected, atol=1e-6)
    loss = np.mean((expected - x[:, :1]) ** 2)
    assert np.isclose(model.evaluate([x, 2 * x], x[:, :1], verbose=0), loss, atol=1e-6)
    assert model.predict_on_batch([x, 2 * x]).shape == (40, 1)


def test_layers_show_what_they_were_made_with():
    assert repr(layers.Dense(4)) == "keras.Dense(4)"
    dense = layers.Dense(4, activation="relu", name="head")
    assert repr(dense) == "keras.Dense(4, name='head', activation='relu')"
    assert repr(layers.Flatten()) == "keras.Flatten()"
