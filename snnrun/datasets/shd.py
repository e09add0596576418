"""Spiking Heidelberg Digits (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364).

20 spoken digits (0-9 English, 10-19 German) on 700 channels; 8,156 training examples of ten
speakers and 2,264 test examples, two speakers of which are in the test file only. Any folder with
files of the same names and layout works as well. Source: https://zenkelab.org/datasets/
"""

from __future__ import annotations

from snnrun.datasets.heidelberg import heidelberg_set, published

SHD = heidelberg_set(
    name="shd",
    title="Spiking Heidelberg Digits (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364)",
    files=(
        published("shd_train.h5", "train", "f3252aeb598ac776c1b526422d90eecb"),
        published("shd_test.h5", "test", "1503a5064faa34311c398fb0a1ed0a6f"),
    ),
)
