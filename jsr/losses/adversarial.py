"""Losses of generators and critics: `pred` is a critic's output for SR images, `target` its output for HR images.

Logits, float32 of any one shape. A generator's row belongs to a player that updates the generator alone, a critic's to
one that updates the critic alone.
"""

import jax
import jax.numpy as jnp


def gan_generator(pred, target):
    """The non-saturating loss of Goodfellow et al. (2014): the cross entropy of `pred` as real; `target` is unused."""
    del target
    return _real(pred)


def gan_critic(pred, target):
    """The sum of the cross entropies of `pred` as made up and `target` as real."""
    return _fake(pred) + _real(target)


def relativistic_generator(pred, target):
    """Half the sum of the cross entropies: `pred` more real than `target` on average, `target` less than `pred`.

    Jolicoeur-Martineau, The relativistic discriminator (ICLR 2019), the average form (RaGAN) as in ESRGAN and
    RaoUmer/SRResCGAN; averages are over the whole batch.
    """
    return relativistic_critic(target, pred)


def relativistic_critic(pred, target):
    """The same with the parts of `pred` and `target` exchanged; see `relativistic_generator`."""
    return (_real(target - jnp.mean(pred)) + _fake(pred - jnp.mean(target))) / 2


def _real(logits):
    return jnp.mean(jax.nn.softplus(-logits))


def _fake(logits):
    return jnp.mean(jax.nn.softplus(logits))
