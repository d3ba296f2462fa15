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
SAMPLE = {}  # it takes long
SEEDS = 3

EXAMPLES = [(binary_encode(n), fizz_buzz_encode(n)) for n in range(101, 1024)]


def learn(net, loss, epochs):
    optimizer = Momentum(learning_rate=0.1, momentum=0.9)
    for epoch in range(epochs):
        total = 0.0
        for x, y in EXAMPLES:
            predicted = net.forward(x)
            total += loss.loss(predicted, y)
            net.backward(loss.gradient(predicted, y))
            optimizer.step(net)
        if (epoch + 1) % max(1, epochs // 5) == 0:
            print(f"epoch {epoch + 1:4}: loss {total:7.2f}, {right(net)} of 100 right", flush=True)
    return right(net)


def right(net):
    answers = (argmax(net.forward(binary_encode(n))) for n in range(1, 101))
    return sum(a == argmax(fizz_buzz_encode(n)) for n, a in enumerate(answers, 1))


def layers(seed):
    random.seed(seed)
    return [Linear(10, 25, init="uniform"), Tanh(), Linear(25, 4, init="uniform")]


def main(seed: int = 0) -> dict[str, float]:
    return {
        "right of 100, SSE": learn(Sequential([*layers(seed), Sigmoid()]), SSE(), epochs=1_000),
        "right of 100, softmax": learn(Sequential(layers(seed)), SoftmaxCrossEntropy(), epochs=100),
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
