"""A first neural network: by hand, then of layers, then trained for 40 epochs."""

from examples.fastai_digits import batch_accuracy, loaders, mnist_loss
from pierian.compat.fastai import *

TITLE = "First net"
NEEDS = ("mnist", "PIL", "matplotlib")
GOALS = {"accuracy": ">= 0.98", "off the net by hand": "<= 1e-4"}
SAMPLE = {"accuracy": ">= 0.94", "off the net by hand": "<= 1e-4"}
SEEDS = 3


def main(seed: int = 0) -> dict[str, float]:
    set_seed(seed)
    dls = loaders()
    simple_net = nn.Sequential(nn.Linear(28 * 28, 30), nn.ReLU(), nn.Linear(30, 1))
    learn = Learner(dls, simple_net, opt_func=SGD, loss_func=mnist_loss, metrics=batch_accuracy)
    learn.fit(40, 0.1)
    plt.plot(L(learn.recorder.values).itemgot(2))

    (w1, b1), (w2, b2) = (simple_net[i].parameters() for i in (0, 2))

    def by_hand(x):
        res = (x @ w1.T + b1).max(tensor(0.0))
        return res @ w2.T + b2

    x, _ = first(dls.valid)
    return {
        "accuracy": learn.recorder.values[-1][2],
        "off the net by hand": (by_hand(x) - simple_net(x)).abs().max().item(),
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
