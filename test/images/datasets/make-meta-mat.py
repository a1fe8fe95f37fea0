"""Writes meta.mat in the form of ImageNet's development kit: three classes and one that is none. Needs SciPy.

    python test/images/datasets/make-meta-mat.py
"""
from pathlib import Path

import numpy as np
from scipy.io import savemat

fields = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
rows = [(1, "n02000003", "kit fox", 0), (2, "n01000001", "tench", 0), (3, "n01500002", "goose", 0), (4, "n00000004", "animal", 3)]
synsets = np.zeros((len(rows), 1), dtype=fields)
for i, (number, wnid, words, children) in enumerate(rows):
    synsets[i, 0] = (np.array([[float(number)]]), wnid, words, np.array([[float(children)]]))
savemat(Path(__file__).with_name("meta.mat"), {"synsets": synsets}, do_compression=True)
