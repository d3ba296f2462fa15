"""The linear model again, as a module, with an optimizer of our own and with SGD."""

from examples.fastai_digits import batch_accuracy, loaders, mnist_loss
from pierian.compat.fastai import *

TITLE = "Optimizer and module"
NEEDS = ("mnist", "PIL")
GOALS = {"own optimizer": ">= 0.975", "SGD": ">= 0.975", "difference of weights": "<= 1e-4"}
SAMPLE = {"own optimizer": ">= 0.92", "SGD": ">= 0.92"}
SEEDS = 3


class BasicOptim:
    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr

    def step(self):
        for p in self.params:
            p.data -= p.grad.data * self.lr

    def zero_grad(self):
        for p in self.params:
            p.grad = None


def train(model, opt, dl, valid_dl, epochs):
    for _ in range(epochs):
        for x, y in dl:
            mnist_loss(model(x), y).backward()
            opt.step()
            opt.zero_grad()
    return torch.stack([batch_accuracy(model(x), y) for x, y in valid_dl]).mean().item()


def main(seed: int = 0) -> dict[str, float]:
    dl, valid_dl = loaders()
    figures, learned = {}, []
    for name, make in (("own optimizer", BasicOptim), ("SGD", SGD)):
        set_seed(seed)
        learned.append(model := nn.Linear(28 * 28, 1))
        figures[name] = train(model, make(model.parameters(), 1.0), dl, valid_dl, 20)
    return figures | {"difference of weights": F.l1_loss(*(m.weight for m in learned)).item()}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
