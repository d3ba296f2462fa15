"""Backpropagation on the graph of |y_true - (x·w + b)|: values forward, derivatives backward."""

from examples.pictures import at
from pierian import viz
from pierian.compat import tensorflow as tf

TITLE = "Backpropagation on a graph"
GOALS = {"loss": "== 3", "gradient of w": "== 2", "gradient of b": "== 1"}


def main() -> dict[str, float]:
    x, y_true = tf.constant(2.0), tf.constant(4.0)
    w, b = tf.Variable(3.0), tf.Variable(1.0)
    with tf.GradientTape(persistent=True) as tape:
        product = x * w
        y = product + b
        loss = tf.abs(y_true - y)
    nodes = {"x": x, "w": w, "b": b, "x·w": product, "x·w + b": y, "loss": loss}
    edges = [("x", "x·w"), ("w", "x·w"), ("x·w", "x·w + b"), ("b", "x·w + b"), ("x·w + b", "loss")]
    viz.graph(loss, names=nodes).save(at("backpropagation.svg"))
    print("forward, the value of each node")
    for name, value in nodes.items():
        print(f"  {name:8} {float(value):g}")
    print("backward, the derivative on each edge")
    for start, end in reversed(edges):
        print(f"  {end:8} -> {start:8} {float(tape.gradient(nodes[end], nodes[start])):g}")
    print("with respect to the loss, the product along the way")
    grads = {name: float(tape.gradient(loss, node)) for name, node in nodes.items()}
    for name, grad in grads.items():
        print(f"  {name:8} {grad:g}")
    return {"loss": float(loss), "gradient of w": grads["w"], "gradient of b": grads["b"]}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
