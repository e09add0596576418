"""Spiking Speech Commands (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364).

The 35 words of Google's Speech Commands (Warden 2018, arXiv:1804.03209), 1 s each, on 700 channels;
75,466 training, 9,981 validation and 20,382 test examples in files of SHD's layout. The validation
file is used with EVALUATION=validation_set, the default. Source: https://zenkelab.org/datasets/

The site's own list of checksums could not be consulted; the MD5 sums are those by which two readers
of the set, tonic and spikingjelly, independently check what they download from there.
"""

from __future__ import annotations

from snnrun.datasets.heidelberg import heidelberg_set, published

SSC = heidelberg_set(
    name="ssc",
    title="Spiking Speech Commands (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364)",
    files=(
        published("ssc_train.h5", "train", "d102be95e7144fcc0553d1f45ba94170"),
        published("ssc_valid.h5", "validation", "b4eee3516a4a90dd0c71a6ac23a8ae43"),
        published("ssc_test.h5", "test", "a35ff1e9cffdd02a20eb850c17c37748"),
    ),
)
