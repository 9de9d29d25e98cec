"""Photographs of unknown quality, x4: Real-ESRGAN's degradation, L1 first, then against a critic.

    python -m jsr.main --config=configs/photo.py                # `quick`: minutes on two cores, a GAN in small
    jsr models get vgg19-imagenet                               # the features that `compact_gan` compares
    python -m jsr.main --config=configs/photo.py:compact_gan    # days on an accelerator

The degradation is `real_esrgan_x4` of jsr.degradations. `compact_gan` has the network of realesr-general-x4v3 and the
losses of `train_realesrgan_x4plus.yml`: L1, features of VGG-19 before their ReLUs, and a GAN, with ESRGAN's critic.

A critic's network invents detail: it loses fidelity wherever the picture was good. `jsr evaluate --sr plain gan --hr HR
--protocol bicubic_x4` on clean pictures shows how much, beside the network that its stage began with.
"""

from jsr.recipes import pick, player, recipe, source, stage

L1 = [dict(fn="l1", pred="sr", target="hr", weight=1.0)]
# conv1_2, 2_2, 3_4, 4_4, 5_4 of VGG-19 before their ReLUs
FEATURES = [dict(fn="l1", pred=f"vgg(sr)@features_{index}", target=f"vgg(hr)@features_{index}", weight=weight)
            for index, weight in ((2, 0.1), (7, 0.1), (16, 1.0), (25, 1.0), (34, 1.0))]
DIV2K = dict(train=[source("div2k/hr", degrade="real_esrgan_x4")],
             eval=dict(dataset="div2k/hr", degrade="real_esrgan_x4"))
PHOTOS = dict(train=[source("photos/hr", degrade="real_esrgan_x4")],
              eval=dict(dataset="photos/hr", degrade="real_esrgan_x4"), num_workers=1)


def against_critic(losses, **keys):
    """The players of a GAN: the network by these losses and the critic, then the critic; keys of both."""
    both = dict(pred="critic(sr)", target="critic(hr)")
    return [player(losses=[*losses, dict(fn="gan_generator", **both, weight=keys.pop("weight"))], nets=["sr"], **keys),
            player(losses=[dict(fn="gan_critic", **both, weight=1.0)], nets=["critic"], **keys)]


RECIPES = {
    "quick": recipe(
        title="a small Compact, Real-ESRGAN's degradation, L1 and then a critic, on the embedded photographs",
        protocol="bicubic_x4",
        networks={"sr": dict(model="compact/base", scale=4, fields=dict(num_feat=16, num_conv=4)),
                  "critic": dict(model="discriminator/vgg128", scale=1, fields=dict(num_feat=8))},
        chain=["sr"], data=PHOTOS,
        stages=[stage(steps=1500, crop=128, batch=8, losses=L1, learning_rate=1e-3, clip_norm=1.0,
                      schedule=dict(name="cosine", warmup_steps=50, end=1e-5), augment=["flip_rotate"]),
                stage(steps=1500, crop=128, batch=8, augment=["flip_rotate"],
                      players=against_critic(L1, weight=0.1, learning_rate=1e-4, clip_norm=1.0))],
        ema_decay=0.99, log_every=100, eval_every=500, checkpoint_every=250),
    "compact_gan": recipe(
        title="Compact with 32 convolutions, Real-ESRGAN's degradation, L1 and then features and a critic",
        protocol="bicubic_x4",
        networks={"sr": dict(model="compact/general", scale=4), "critic": dict(model="discriminator/vgg128", scale=1),
                  "vgg": dict(model="vgg/vgg19", scale=1, start_from="vgg19-imagenet")},
        chain=["sr"], data=DIV2K,
        stages=[stage(steps=1_000_000, crop=256, batch=48, losses=L1, learning_rate=2e-4, augment=["flip_rotate"]),
                stage(steps=400_000, crop=128, batch=48, augment=["flip_rotate"],
                      players=against_critic([*L1, *FEATURES], weight=0.1, learning_rate=1e-4))],
        ema_decay=0.999,
        inferred=["ours: ESRGAN's critic on crops of 128, where Real-ESRGAN has a U-Net with spectral normalisation on "
                  "crops of 256, and targets that are not sharpened"]),
}


def get_config(name="quick"):
    """The recipe `name`; `quick` runs on any machine as it stands."""
    return pick("photo", RECIPES, name)
