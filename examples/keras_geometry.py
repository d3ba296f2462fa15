"""Tensor operations as geometry: moving, turning and scaling a figure, and the bend of a relu."""

import numpy as np

from examples.pictures import at
from pierian import viz
from pierian.compat import keras
from pierian.compat.keras import layers, ops

TITLE = "Geometry of tensor operations"
NEEDS = ("matplotlib",)
GOALS = {"affine of affine is affine": "<= 1e-05", "corners of a bent line": ">= 1"}


def rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], "float32")


def affine(points, matrix, shift):
    return ops.add(ops.matmul(points, ops.transpose(matrix)), shift)


def main() -> dict[str, float]:
    house = np.array([[0, 0], [2, 0], [2, 1], [1, 2], [0, 1], [0, 0]], "float32")
    turn, scale = rotation(0.5), np.diag([1.0, -0.5]).astype("float32")
    here, there = np.array([1, 0.5], "float32"), np.array([-1, 2], "float32")
    keras.utils.set_random_seed(3)
    bend = layers.Dense(2, activation="relu")
    maps = {
        "moved": lambda points: ops.add(points, there),
        "turned": lambda points: ops.matmul(points, turn.T),
        "scaled": lambda points: ops.matmul(points, scale),
        "affine": lambda points: affine(points, turn, there),
        "dense and relu": bend,
    }
    for name, change in maps.items():
        print(f"{name:14}", np.asarray(change(house)).round(2).tolist())
    viz.plot_geometry(house, maps, path=at("geometry.png"))
    twice = affine(affine(house, turn, here), scale, there)
    once = affine(house, scale @ turn, scale @ here + there)
    gap = float(ops.max(ops.abs(twice - once)))
    print("two affine maps differ from the one they make by", gap)
    line = np.stack([np.linspace(-2, 2, 101), np.linspace(-1, 1, 101)], 1).astype("float32")
    bent = np.asarray(bend(line))
    straight = np.asarray(layers.Dense(2)(line))
    bends = [int((np.abs(np.diff(x, 2, axis=0)).max(1) > 1e-4).sum()) for x in (straight, bent)]
    print("corners of a line after Dense:", bends[0], "- after Dense and relu:", bends[1])
    return {"affine of affine is affine": gap, "corners of a bent line": bends[1] - bends[0]}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
