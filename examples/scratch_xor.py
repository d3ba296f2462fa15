"""Exclusive or, learned by a network of two hidden neurons, one example at a time."""

import random

from pierian.compat.scratch import SSE, GradientDescent, Linear, Sequential, Sigmoid

TITLE = "XOR, from scratch"
GOALS = {"largest error": "<= 0.1"}


def main() -> dict[str, float]:
    random.seed(0)
    questions = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    answers = [[0.0], [1.0], [1.0], [0.0]]
    net = Sequential([Linear(2, 2), Sigmoid(), Linear(2, 1)])
    optimizer, loss = GradientDescent(learning_rate=0.1), SSE()

    for epoch in range(3_000):
        total = 0.0
        for x, y in zip(questions, answers, strict=True):
            predicted = net.forward(x)
            total += loss.loss(predicted, y)
            net.backward(loss.gradient(predicted, y))
            optimizer.step(net)
        if epoch % 500 == 0:
            print(f"epoch {epoch:4}: loss {total:.5f}")

    outputs = [net.forward(x)[0] for x in questions]
    for x, y, output in zip(questions, answers, outputs, strict=True):
        print(f"{x} -> {output:6.3f}, should be {y[0]:.0f}")
    print("weights:", net.params())
    errors = [abs(output - y[0]) for output, y in zip(outputs, answers, strict=True)]
    return {"largest error": max(errors)}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
