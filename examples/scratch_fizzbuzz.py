"""FizzBuzz from binary digits: once with squared errors, once with softmax and cross-entropy."""

import random

from pierian.compat.scratch import (
    SSE,
    Linear,
    Momentum,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
    argmax,
    binary_encode,
    fizz_buzz_encode,
)

TITLE = "FizzBuzz, from scratch, both losses"
GOALS = {"right of 100, SSE": ">= 90", "right of 100, softmax": ">= 90"}

QUESTIONS = [binary_encode(n) for n in range(101, 1024)]
ANSWERS = [fizz_buzz_encode(n) for n in range(101, 1024)]
HIDDEN = 25


def learn(net, loss, epochs):
    optimizer = Momentum(learning_rate=0.1, momentum=0.9)
    for epoch in range(epochs):
        total = 0.0
        for x, y in zip(QUESTIONS, ANSWERS, strict=True):
            predicted = net.forward(x)
            total += loss.loss(predicted, y)
            net.backward(loss.gradient(predicted, y))
            optimizer.step(net)
        if (epoch + 1) % max(1, epochs // 5) == 0:
            print(f"epoch {epoch + 1:4}: loss {total:7.2f}, {right(net)} of 100 right", flush=True)


def right(net):
    answers = (argmax(net.forward(binary_encode(n))) for n in range(1, 101))
    return sum(a == argmax(fizz_buzz_encode(n)) for n, a in enumerate(answers, 1))


def main() -> dict[str, float]:
    random.seed(0)
    wide = [Linear(10, HIDDEN, init="uniform"), Tanh(), Linear(HIDDEN, 4, init="uniform")]
    squares = Sequential([*wide, Sigmoid()])
    learn(squares, SSE(), epochs=1_000)

    random.seed(0)
    short = [Linear(10, HIDDEN, init="uniform"), Tanh(), Linear(HIDDEN, 4, init="uniform")]
    classes = Sequential(short)
    learn(classes, SoftmaxCrossEntropy(), epochs=100)
    return {"right of 100, SSE": right(squares), "right of 100, softmax": right(classes)}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
