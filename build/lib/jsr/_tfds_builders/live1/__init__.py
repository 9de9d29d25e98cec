"""LIVE1: the 29 reference images of the LIVE image quality database."""
