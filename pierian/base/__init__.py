"""What every room stands on and what knows no Tensor: errors, dtypes, shapes, trees, random."""
