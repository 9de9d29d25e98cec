"""PyTorch state dicts to variables and back.

    formats = convert.formats(model)                          # {name: Rules}, of the network's file in convert/rules
    state_dict = convert.unwrap(checkpoint).tensors
    rules = formats[convert.detect(state_dict, formats)]
    variables = convert.to_jax(state_dict, rules, models.abstract("edsr", scale=4))
    state_dict = convert.to_torch(variables, rules)
"""

from jsr.convert.engine import Rules, detect, formats, official, to_jax, to_torch
from jsr.convert.wrappers import StateDict, unwrap

__all__ = ["Rules", "StateDict", "detect", "formats", "official", "to_jax", "to_torch", "unwrap"]
