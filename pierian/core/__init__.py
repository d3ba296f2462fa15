"""The engine: primitives, the tensor and its tape, gradients, and the graph of a traced program."""
