"""Tests of the core room: tensor, tape, transforms, graph, trace."""
