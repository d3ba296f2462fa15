"""Which mean digit is nearer? A classifier without any learning."""

from pierian.compat.fastai import *

TITLE = "Pixel similarity"
NEEDS = ("mnist", "PIL")
GOALS = {
    "right of 3s": [">= 0.91675", "<= 0.91685"],
    "right of 7s": [">= 0.98535", "<= 0.98545"],
    "mean": [">= 0.95105", "<= 0.95115"],
    "distance as F.l1_loss": "<= 1e-7",
    "distance as F.mse_loss": "<= 1e-7",
}
SAMPLE = {"mean": ">= 0.9"}


def stacked(folder):
    return torch.stack([tensor(Image.open(file)) for file in folder.ls().sorted()]).float() / 255


def distance(a, b):
    return (a - b).abs().mean((-1, -2))


def main() -> dict[str, float]:
    path = untar_data(URLs.MNIST_SAMPLE)
    mean3, mean7 = (stacked(path / "train" / digit).mean(0) for digit in "37")
    valid3, valid7 = (stacked(path / "valid" / digit) for digit in "37")

    def is_3(x):
        return distance(x, mean3) < distance(x, mean7)

    right3 = is_3(valid3).float().mean()
    right7 = (1 - is_3(valid7).float()).mean()
    one = valid3[0]
    root = ((one - mean3) ** 2).mean().sqrt()
    return {
        "right of 3s": right3.item(),
        "right of 7s": right7.item(),
        "mean": ((right3 + right7) / 2).item(),
        "distance as F.l1_loss": (distance(one, mean3) - F.l1_loss(one, mean3)).abs().item(),
        "distance as F.mse_loss": (root - F.mse_loss(one, mean3).sqrt()).abs().item(),
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
