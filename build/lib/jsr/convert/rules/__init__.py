"""A file per network file, of the same stem: how the state dicts of its PyTorch originals name and lay out tensors.

Each holds FORMATS, {name: function from the network to its jsr.convert.Rules}; `to_torch` writes the first.
A file may have `identify(state_dict)`, which recognises the network by keys and shapes (jsr.convert.identify).
"""
