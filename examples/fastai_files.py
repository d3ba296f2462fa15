"""From a folder of pictures to one tensor, and back to a picture."""

from pierian.compat.fastai import *

TITLE = "Files to tensors"
NEEDS = ("mnist", "PIL", "matplotlib")
GOALS = {"threes": "== 6131", "axes": "== 3", "largest of the mean": [">= 0.5", "<= 1"]}
SAMPLE = {"axes": "== 3", "largest of the mean": [">= 0.5", "<= 1"]}


def main() -> dict[str, float]:
    path = untar_data(URLs.MNIST_SAMPLE)
    Path.BASE_PATH = path
    print(path.ls(), (path / "train").ls())
    files = (path / "train" / "3").ls().sorted()
    print(files)

    picture = Image.open(files[1])
    print(array(picture)[4:10, 4:10])
    print(tensor(picture)[4:10, 4:10])
    show_image(tensor(picture))

    threes = torch.stack([tensor(Image.open(file)) for file in files]).float() / 255
    print(threes.shape, threes.ndim, threes.type())
    ideal = threes.mean(0)
    show_image(ideal, title="the mean three")
    return {
        "threes": len(threes),
        "axes": threes.ndim,
        "largest of the mean": ideal.max().item(),
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
