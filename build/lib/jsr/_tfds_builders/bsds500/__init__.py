"""BSDS500: 200 + 100 + 200 photographs of Berkeley's segmentation benchmark."""
