"""Models: networks ready to be trained, one line each.

May import: base, core, ops, nn. To add one: a function that makes it, and a row in `MODELS`.

    model = models.resnet18(num_classes=10, in_channels=1)
    print(model.summary((1, 28, 28)))
"""

from pierian.models.head import AdaptiveConcatPool2d, create_head, with_head
from pierian.models.resnet import ResNet, resnet18, resnet34, resnet50
from pierian.models.simple import convnet, lenet5, mlp

MODELS = {
    "mlp": mlp,
    "lenet5": lenet5,
    "cnn": convnet,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
}

__all__ = [
    "AdaptiveConcatPool2d", "MODELS", "ResNet", "convnet", "create_head", "lenet5", "mlp",
    "resnet18", "resnet34", "resnet50", "with_head",
]  # fmt: skip
