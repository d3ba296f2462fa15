"""TensorFlow's names: variables, tapes, and what differs from `keras.ops`."""

import numpy as np
import pytest

import pierian.compat.tensorflow as tf
from pierian.compat import keras


def test_variables_keep_their_identity():
    c = tf.Variable(tf.zeros([3, 6]))
    same = c
    c.assign(tf.ones([3, 6]))
    c[1].assign(np.full(6, 2.0))
    c[0, 1].assign(9)
    c.assign_add(tf.ones([3, 6]))
    c.assign_sub(tf.ones([3, 6]))
    assert c is same
    assert isinstance(c, keras.Variable)
    assert c.numpy().sum() == 6 + 12 + 6 + 8
    count = tf.Variable(0)
    count.assign_add(1)
    assert (int(count), count.requires_grad, c.requires_grad) == (1, False, True)


def test_variables_copy_what_they_are_given():
    start = np.zeros(2, "float32")
    v = tf.Variable(start)
    v.assign([1.0, 2.0])
    assert start.tolist() == [0.0, 0.0]
    assert tf.Variable(np.zeros(2)).dtype == np.float64
    assert keras.Variable(np.zeros(2)).dtype == np.float32


def test_gradients_are_nested_as_the_sources():
    a, b, lonely = tf.Variable(2.0), tf.Variable(3.0), tf.Variable(1.0)
    x = tf.zeros(shape=())
    with tf.GradientTape(persistent=True) as tape:
        y = a * b + 2 * x + 3
    assert {k: float(g) for k, g in tape.gradient(y, {"a": a, "b": b}).items()} == {"a": 3, "b": 2}
    assert float(tape.gradient(y, x)) == 2
    assert tape.gradient(y, [lonely]) == [None]
    assert f"{y:.2f}" == "9.00"


CASES = [
    (lambda: tf.norm(tf.constant([3.0, -4.0])), 5.0),
    (lambda: tf.ones(3), [1, 1, 1]),
    (lambda: tf.constant(1.0, shape=(2,)), [1, 1]),
    (lambda: tf.reduce_mean(tf.constant([[1.0, 3.0]]), axis=1), [2.0]),
    (lambda: tf.reduce_sum(tf.constant([[1.0, 3.0]])), 4.0),
    (lambda: tf.argmax(tf.constant([[1.0, 2.0], [3.0, 0.0]])), [1, 0]),
    (lambda: tf.matmul(tf.ones((2, 3)), tf.ones((2, 3)), transpose_b=True), [[3, 3], [3, 3]]),
    (lambda: tf.concat([[1.0], [2.0]], axis=0), [1, 2]),
    (lambda: tf.transpose(tf.reshape(tf.range(6), (1, 2, 3)), perm=[2, 0, 1])[0], [[0, 3]]),
    (lambda: tf.one_hot([1], depth=3), [[0, 1, 0]]),
    (lambda: tf.cast(tf.constant([1.5]), tf.int32), [1]),
    (lambda: tf.nn.relu(tf.constant([-1.0, 1.0])), [0, 1]),
    (lambda: tf.nn.softmax(tf.zeros((1, 2))), [[0.5, 0.5]]),
    (lambda: tf.math.sqrt(tf.constant([4.0])), [2]),
    (lambda: tf.fill([2], 3.0), [3, 3]),
    (lambda: tf.shape(tf.zeros((2, 3))), [2, 3]),
    (lambda: tf.size(tf.zeros((2, 3))), 6),
    (lambda: tf.math.abs(tf.constant([-2.0])), [2]),
    (lambda: tf.gather(tf.constant([1.0, 2.0, 3.0]), [2, 0]), [3, 1]),
    (lambda: tf.nn.sparse_softmax_cross_entropy_with_logits([0], tf.zeros((1, 2))), [np.log(2)]),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_functions_are_those_of_tensorflow(case):
    call, expected = CASES[case]
    assert np.allclose(call(), expected)


def line(step):
    keras.utils.set_random_seed(0)
    X = tf.random.normal((200, 2))
    y = tf.matmul(X, tf.constant([[2.0], [-3.4]])) + 4.2
    start = tf.initializers.RandomNormal(stddev=0.01)
    net = tf.keras.Sequential([tf.keras.layers.Dense(1, kernel_initializer=start)])
    trainer, loss = tf.keras.optimizers.SGD(learning_rate=0.1), tf.keras.losses.MeanSquaredError()
    update = step(net, trainer, loss)
    for _ in range(10):
        for k in range(0, 200, 20):
            update(X[k : k + 20], y[k : k + 20])
    return net.get_weights()


def eager(net, trainer, loss):
    def update(X, y):
        with tf.GradientTape() as tape:
            error = loss(net(X, training=True), y)
            grads = tape.gradient(error, net.trainable_variables)
            trainer.apply_gradients(zip(grads, net.trainable_variables, strict=True))
        return error

    return update


def compiled(net, trainer, loss):
    update = eager(net, trainer, loss)
    return tf.function(update)


@pytest.mark.parametrize("step", [eager, compiled], ids=lambda f: f.__name__)
def test_a_loop_by_hand_finds_the_line(step):
    w, b = line(step)
    assert np.allclose(w.ravel(), [2.0, -3.4], atol=1e-3)
    assert np.allclose(b, 4.2, atol=1e-3)


class Chain(tf.keras.Model):
    """A list under the name of a method of every module, filled after it was assigned."""

    def __init__(self, *blocks):
        super().__init__()
        self.modules, self.named = [], {}
        for block in blocks:
            self.modules.append(block)
        self.named["last"] = tf.keras.layers.Dense(1)

    def call(self, x):
        for block in self.modules:
            x = block(x)
        return self.named["last"](x)


def test_layers_in_lists_and_dicts_that_are_filled_later_are_trained():
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    model = Chain(tf.keras.layers.Dense(4, activation=tf.nn.relu), tf.keras.layers.Dense(2))
    assert model(x).shape == (64, 1)
    assert [w.shape for w in model.weights] == [(4, 3), (4,), (2, 4), (2,), (1, 2), (1,)]
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1] + 1, verbose=0)
    model.summary()
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


class Counted(tf.keras.initializers.Initializer):
    """A user's way to start, which has no constructor: 0, 1, 2 … along the shape."""

    def __call__(self, shape, dtype=None):
        return tf.cast(tf.reshape(tf.range(int(np.prod(shape))), shape), dtype)


def test_initializers_of_users_are_given_a_shape():
    ones = lambda shape, dtype=None: tf.ones(shape, dtype)  # noqa: E731
    dense = tf.keras.layers.Dense(2, kernel_initializer=Counted(), bias_initializer=ones)
    assert dense(np.eye(3, dtype="float32")).numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    conv = tf.keras.layers.Conv2D(2, 3, kernel_initializer=Counted())
    conv.build((None, 5, 5, 4))
    assert conv.get_weights()[0].ravel().tolist() == list(range(3 * 3 * 4 * 2))
    own = tf.keras.layers.Layer().add_weight((2, 3), Counted())
    assert own.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_names_of_softmax_regression_by_hand():
    probabilities = tf.constant([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]])
    picked = tf.boolean_mask(probabilities, tf.one_hot(tf.constant([0, 2]), depth=3))
    assert picked.numpy().tolist() == pytest.approx([0.1, 0.5])
    weight = tf.Variable(tf.ones([2, 2]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.boolean_mask(weight * 3, [[True, False], [False, False]]))
    assert tape.gradient(loss, weight).numpy().tolist() == [[3, 0], [0, 0]]
    assert tf.zeros_initializer()((2,)).numpy().tolist() == [0, 0]
    assert tf.random_normal_initializer(stddev=0.1)((3, 2)).shape == (3, 2)
