"""A file per network file, of the same stem: how the state dicts of its PyTorch originals name and lay out tensors.

Each holds FORMATS, {name: function from the network to its jsr.convert.Rules}; `to_torch` writes the first.
"""
