"""State dicts of SwinFIR."""

from jsr.convert.rules import swinir

FORMATS = {"official": swinir.official}  # Zdafeng/SwinFIR, swinfir/archs/swinfir_arch.py


def identify(state_dict):
    """(scale, fields, assumed) of a state dict; None of another network's."""
    has_blocks = "layers.0.conv.fusion.weight" in state_dict
    return swinir.told(state_dict) if has_blocks and not any("overlap_attn" in key for key in state_dict) else None
