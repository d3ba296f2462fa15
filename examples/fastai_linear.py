"""A linear model of 3s and 7s, every step of its training written out."""

from examples.fastai_digits import batch_accuracy, loaders, mnist_loss
from pierian.compat.fastai import *

TITLE = "Linear model by hand"
NEEDS = ("mnist", "PIL")
GOALS = {"accuracy": ">= 0.9651"}
SAMPLE = {"accuracy": ">= 0.92"}
SEEDS = 3


def main(seed: int = 0) -> dict[str, float]:
    set_seed(seed)
    dl, valid_dl = loaders()
    print(*(part.shape for part in first(dl)))
    weights = torch.randn((28 * 28, 1)).requires_grad_()
    bias = torch.randn(1).requires_grad_()

    def linear1(x):
        return x @ weights + bias

    accuracy = 0.0
    for _ in range(20):
        for x, y in dl:
            mnist_loss(linear1(x), y).backward()
            for p in (weights, bias):
                p.data -= p.grad * 1.0
                p.grad.zero_()
        batches = [batch_accuracy(linear1(x), y) for x, y in valid_dl]
        accuracy = torch.stack(batches).mean().item()
        print(f"{accuracy:.4f}", end=" ")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
