"""A recipe with guests: network, loss, degradation and dataset are of the package beside this file.

    pip install ./examples/guest
    jsr train examples/guest/recipe.py      # in a folder with pictures/train and pictures/validation
"""

from jsr.recipes import pick, recipe, stage

PICTURES = dict(dataset="jsr_guest.more:pictures", degrade="jsr_guest.more:few_colours")
LOSSES = [dict(fn="l1", pred="sr", target="hr", weight=1.0),
          dict(fn="jsr_guest.more:squared_log", pred="sr", target="hr", weight=0.01, eps=0.01)]
RECIPES = {
    "tiny": recipe(
        title="a guest: three convolutions", protocol="ntire23_x2",
        networks={"sr": dict(model="jsr_guest.tiny/base", scale=2)}, data=dict(train=PICTURES, eval=PICTURES),
        stages=[stage(steps=200, crop=32, batch=8, losses=LOSSES, learning_rate=1e-3)],
        ema_decay=0.99, log_every=50, eval_every=100, checkpoint_every=100),
}


def get_config(name="tiny"):
    """The recipe `name`."""
    return pick("guest", RECIPES, name)
