"""Well-known public models that `jsr convert` reads, each with its address, licence and SHA-256: public.csv.

Nothing of them is shipped. A hash comes from where `hash_by` says:

  repository     the file itself, as it lies in the authors' repository at the commit that the address names
  OpenModelDB    the entry of this database (openmodeldb.info)
  third parties  several public projects that state the same one
  file name      its first eight digits, which the authors have put into the name of the file

`commercial` follows from the licence of the authors' repository: yes, no, or unstated where there is none. The data
sets that a model was trained on may have terms of their own.
"""

import csv
import dataclasses
import functools
from pathlib import Path

TABLE = Path(__file__).with_name("public.csv")
UNSTATED = "unstated"


@dataclasses.dataclass(frozen=True)
class Public:
    """A public model.

    Attributes:
      name: name for `jsr models get`.
      network: id of its network in the zoo, as `jsr convert` recognises it.
      scale: SR size over LR size.
      purpose: purpose, in a few words.
      licence: as in SPDX's list where it is there; "" where none is stated.
      commercial: whether commercial use is allowed: yes, no, or unstated.
      bytes: size of the file; 0 where not known.
      sha256: SHA-256 of the file, or its first digits; "" where not known.
      hash_by: who states it, see above.
      address: address of the file; "" where people must fetch it by hand.
      page: page of the authors.
      data: training data; "" where its authors do not state it with the file.
    """

    name: str
    network: str
    scale: int
    purpose: str
    licence: str
    commercial: str
    bytes: int
    sha256: str
    hash_by: str
    address: str
    page: str
    data: str


def of_network(stem):
    """The names of the models of a network file, as "edsr"."""
    return [row.name for row in models().values() if row.network.partition("/")[0] == stem]


@functools.cache
def models():
    """{name: Public}."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        rows = [{**row, "scale": int(row["scale"]), "bytes": int(row["bytes"] or 0)} for row in csv.DictReader(file)]
    return {row["name"]: Public(**row) for row in rows}
