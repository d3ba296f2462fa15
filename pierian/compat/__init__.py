"""The names of the textbooks' own APIs, each mapped to the one engine; a face per file or folder.

May import: everything below, not the package's own `__init__`. A face holds names, spellings and
defaults: no tensor arithmetic, no loop over batches, no gradient code. To add a face: a module or
package here.
"""
