"""Images that a run goes on without."""

import pytest

from jsr.errors import UserError
from jsr.training.left_out import LeftOut


def test_each_is_named_once_and_one_too_many_ends_the_run(caplog):
    meta = {}
    left_out = LeftOut(meta, 2)
    assert left_out.summary() == ""
    for line in ("a.png: damaged", "b.png: damaged", "a.png: damaged"):
        left_out(line)
    assert [record.message for record in caplog.records] == [
        f"{name}.png: damaged; it is left out, and the run goes on without it ({n} of at most 2)"
        for n, name in enumerate("ab", 1)]
    with pytest.raises(UserError, match=r"^c.png: damaged; 2 images were left out before, .*max_damaged=\.\.\.\)$"):
        left_out("c.png: damaged")
    assert LeftOut(meta, 2).summary() == "left out as damaged: 2 images (a.png, b.png)"  # resumed
    with pytest.raises(UserError, match="^a.png: damaged$"):
        LeftOut({}, 0)("a.png: damaged")
