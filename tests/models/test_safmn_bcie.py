"""SAFMN_BCIE: how far it sees."""

from jsr.inference.chain import Chain


def test_tiles_are_never_exact(golden):
    case = golden("safmn_bcie", "small")
    assert Chain({"sr": case.model}, {"sr": case.variables}).reach(1000) is None
