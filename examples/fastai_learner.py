"""The linear model by a Learner: one call to train it."""

from examples.fastai_digits import batch_accuracy, loaders, mnist_loss
from pierian.compat.fastai import *

TITLE = "Learner"
NEEDS = ("mnist", "PIL")
GOALS = {"accuracy": ">= 0.965", "epochs recorded": "== 10"}
SAMPLE = {"accuracy": ">= 0.92", "epochs recorded": "== 10"}
SEEDS = 3


def main(seed: int = 0) -> dict[str, float]:
    set_seed(seed)
    learn = Learner(
        loaders(),
        nn.Linear(28 * 28, 1),
        opt_func=SGD,
        loss_func=mnist_loss,
        metrics=batch_accuracy,
    )
    learn.fit(10, lr=1.0)
    accuracies = L(learn.recorder.values).itemgot(2)
    print(accuracies)
    return {"accuracy": accuracies[-1], "epochs recorded": len(accuracies)}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
