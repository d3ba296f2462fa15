"""GradientTape: TensorFlow's way of asking for gradients.

May import: base, tensor, autodiff. While a tape is open every floating tensor that enters an
operation is watched, so gradients of anything can be asked for afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pierian.base import trees
from pierian.base.dtypes import is_floating
from pierian.base.errors import GradError, ShapeError, message
from pierian.core.autodiff import pullback, reachable, seed
from pierian.core.tensor import Leaf, Tensor, as_tensor, bind, mode


class Watcher:
    """What all open tapes of a thread share: the tensors they have made leaves of."""

    def __init__(self) -> None:
        self.depth = 0
        self.leaves: dict[int, tuple[Tensor, Leaf]] = {}

    def __call__(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            if tensor.node is None and is_floating(tensor.dtype):
                tensor.node = Leaf(tensor, automatic=True)
                self.leaves[id(tensor)] = (tensor, tensor.node)

    def release(self) -> None:
        """Leave the tensors as they were found; the tapes keep the leaves."""
        for tensor, _ in self.leaves.values():
            reached = reachable([] if tensor.node is None else [tensor.node])
            if all(node.automatic for node in reached if type(node) is Leaf):
                tensor.node = None


class GradientTape:
    """Records what happens in its `with` block, for `tape.gradient` after (or in) it.

    Args:  persistent                `gradient` may be called more than once.
           watch_accessed_variables  accepted for TensorFlow's sake; False records only what
                                     requires gradients or was given to `watch`.

    >>> import pierian as pr
    >>> x = pr.tensor(3.0)
    >>> with pr.GradientTape() as tape:
    ...     y = x * x
    >>> tape.gradient(y, x)
    tensor(6., dtype=float32)
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = persistent
        self.automatic = watch_accessed_variables
        self.used = False
        self.open = False
        self.watcher = Watcher()
        self.before: tuple[bool, Any] = (True, None)

    def __enter__(self) -> GradientTape:
        self.before = (mode.grad, mode.watch)
        mode.grad = True
        if isinstance(mode.watch, Watcher):
            self.watcher = mode.watch
        self.watcher.depth += 1
        if self.automatic:
            mode.watch = self.watcher
        self.open = True
        return self

    def __exit__(self, *error: object) -> None:
        mode.grad, mode.watch = self.before
        self.open = False
        self.watcher.depth -= 1
        if self.watcher.depth == 0:
            self.watcher.release()

    def watch(self, tensors: Any) -> None:
        """Record operations on `tensors` (a tree of them) from now on.

        Raises:  GradError outside the `with` block.
        """
        if not self.open:
            raise GradError(
                message("GradientTape.watch", "the tape must be open", "a call in its with block",
                        "a call outside", "Move it into the with block")
            )  # fmt: skip
        self.watcher(trees.leaves(tensors))

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """The gradients of the sum of `target` with respect to `sources`, a tree like it.

        Args:    output_gradients       weights of the targets; ones if None.
                 unconnected_gradients  "none" or "zero": what an unconnected source gets.
        Raises:  GradError on a second call of a tape that is not persistent.
        """
        if self.used and not self.persistent:
            raise GradError(
                message("GradientTape.gradient", "may be called once", "one call", "a second one",
                        "Open the tape with persistent=True")
            )  # fmt: skip
        self.used = True
        targets = [as_tensor(t) for t in trees.leaves(target)]
        weights = [None] * len(targets) if output_gradients is None else trees.leaves(
            output_gradients
        )  # fmt: skip
        if len(weights) != len(targets):
            raise ShapeError(
                message("GradientTape.gradient", "one output gradient per target", len(targets),
                        len(weights), "Pass a tree like the targets, tensors for tensors")
            )  # fmt: skip
        seeds = [
            (t.node or self._leaf(t), self._seed(t, w))
            for t, w in zip(targets, weights, strict=True)
        ]
        wanted, structure = trees.flatten(sources)
        nodes = [source.node or self._leaf(source) for source in wanted]
        found = pullback(
            [(node, g) for node, g in seeds if node is not None],
            {node for node in nodes if node is not None},
            create_graph=mode.watch is not None or self.open,
            retain=True,
        )
        grads = [None if node is None else found.get(node) for node in nodes]
        if unconnected_gradients == "zero":
            grads = [
                bind("full", shape=s.shape, value=0.0, dtype=s.dtype) if g is None else g
                for s, g in zip(wanted, grads, strict=True)
            ]
        return trees.unflatten(structure, grads)

    def _leaf(self, tensor: Tensor) -> Leaf | None:
        entry = self.watcher.leaves.get(id(tensor))
        return entry[1] if entry else None

    @staticmethod
    def _seed(tensor: Tensor, weight: Any) -> Tensor:
        if weight is not None:
            return seed("GradientTape.gradient", tensor, weight)
        return bind("full", shape=tensor.shape, value=1.0, dtype=tensor.dtype)
