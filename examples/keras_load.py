"""The digits of MNIST, looked at: shapes, one picture, slices and batches."""

from examples.pictures import at
from pierian import viz
from pierian.compat.keras.datasets import mnist

TITLE = "Load and look"
NEEDS = ("mnist", "matplotlib")
GOALS = {"training images": "== 60000", "test images": "== 10000", "side": "== 28"}
SAMPLE = {"side": "== 28"}


def main() -> dict[str, float]:
    (train_images, train_labels), (test_images, test_labels) = mnist.load_data()
    print("axes", train_images.ndim, "shape", train_images.shape, "dtype", train_images.dtype)
    print("the fifth digit is", train_labels[4])
    viz.show_images(train_images[:10], train_labels[:10].tolist(), path=at("digits.png"))
    print("digits 10 to 99:", train_images[10:100].shape)
    print("their middles:", train_images[10:100, 7:-7, 7:-7].shape)
    batches = [train_images[128 * n : 128 * (n + 1)] for n in range(3)]
    print("batches:", [batch.shape for batch in batches], len(test_labels), "test labels")
    return {
        "training images": len(train_images),
        "test images": len(test_images),
        "side": train_images.shape[2],
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
