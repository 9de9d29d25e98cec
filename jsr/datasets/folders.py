"""Image sets that recipes name and that have no builder: the user puts their images into folders of these names.

`folders/imagenet` lies below the folder of built datasets, as they do: ~/tensorflow_datasets/folders/imagenet. It holds
image files at any depth, or is a link to where they are. A row of a recipe whose folder is not there is left out.
"""

from pathlib import Path

from jsr.datasets.build import default_data_dir

FOLDERS = {  # name: which images belong there, and where they are to be had
    "folders/clic": "CLIC: photographs of the Challenge on Learned Image Compression, compression.cc",
    "folders/ffhq": "FFHQ: 70,000 faces of 1024x1024, github.com/NVlabs/ffhq-dataset",
    "folders/flickr2k_l": "Flickr2K-L: the list flickr2k-L.csv of github.com/RenYang-home/AIM22_CompressSR",
    "folders/hq50k": "HQ-50K: 50,000 photographs, github.com/littleYaang/HQ-50K",
    "folders/imagenet": "ImageNet: the 1.28 million training photographs of ILSVRC 2012, image-net.org",
    "folders/liu4k": "LIU4K-v2: photographs of 4K, Liu et al., IEEE TIP 2020",
    "folders/manga109": "Manga109: pages of 109 volumes, manga109.org",
    "folders/mit5k": "MIT-Adobe FiveK: 5,000 photographs, data.csail.mit.edu/graphics/fivek",
    "folders/nomos8k": "nomos8k: photographs in tiles of 512x512, github.com/neosr-project/neosr",
    "folders/nomos_uni": "nomos_uni: photographs in tiles of 512x512, github.com/neosr-project/neosr",
    "folders/ost": "OutdoorSceneTraining: photographs of SFTGAN, github.com/xinntao/SFTGAN",
    "folders/ots": "OTS: outdoor photographs of RESIDE, sites.google.com/view/reside-dehaze-datasets",
    "folders/scut_ctw1500": "SCUT-CTW1500: photographs of text, github.com/Yuliang-Liu/Curve-Text-Detector",
    "folders/unsplash2k": "Unsplash2K: photographs of Unsplash, github.com/dongheehand/unsplash2K",
}


def path_of(dataset, data_dir=None):
    """The folder of one of FOLDERS, below `data_dir` or else `jsr.datasets.build.default_data_dir()`."""
    return Path(data_dir or default_data_dir()).expanduser() / dataset
