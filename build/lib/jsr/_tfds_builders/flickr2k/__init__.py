"""Flickr2K: 2650 photographs of 2K resolution."""
