"""Arrays of NumPy and tensors, side by side."""

from pierian.compat.fastai import *

TITLE = "Arrays and tensors"
NEEDS = ()
GOALS = {"alike": "== 9"}


def main() -> dict[str, float]:
    data = [[1, 2, 3], [4, 5, 6]]
    arr, tns = array(data), tensor(data)
    print(arr, tns, sep="\n")
    print(tns.type(), (tns * 1.5).type())
    pairs = [
        (arr[1], tns[1]),
        (arr[:, 1], tns[:, 1]),
        (arr[1, 1:3], tns[1, 1:3]),
        (arr + 1, tns + 1),
        (arr * 1.5, tns * 1.5),
        (arr.T, tns.T),
        (arr[0, 2], tns[0, 2].item()),
        (np.exp(arr), torch.exp(tns)),
        (1 / (1 + np.exp(-np.arange(5.0))), torch.sigmoid(torch.arange(5))),
    ]
    return {"alike": sum(np.allclose(a, t) for a, t in pairs)}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
