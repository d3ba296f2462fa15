"""ResNet-18 tells 3s from 7s after one epoch."""

from pierian.compat.fastai import *

TITLE = "Deep net"
NEEDS = ("mnist", "PIL")
GOALS = {"accuracy": ">= 0.994"}
SEEDS = 3


def main(seed: int = 0) -> dict[str, float]:
    set_seed(seed)
    dls = ImageDataLoaders.from_folder(untar_data(URLs.MNIST_SAMPLE))
    learn = cnn_learner(
        dls, resnet18, pretrained=False, loss_func=F.cross_entropy, metrics=accuracy
    )
    learn.fit_one_cycle(1, 0.1)
    return {"accuracy": learn.recorder.values[-1][2]}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
