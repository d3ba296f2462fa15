"""The vocabulary: what can be done with tensors, a family per file."""
