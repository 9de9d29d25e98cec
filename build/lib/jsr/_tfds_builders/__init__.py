"""One folder a dataset, in the TFDS layout; `jsr build <dataset>/<config>` prepares it."""
