from __future__ import annotations

import h5py
import numpy as np
import pytest

from snnrun.record.columns import EPOCHS
from snnrun.record.table import Table, read_columns


def three_epochs() -> Table:
    table = Table(EPOCHS)
    for epoch in range(3):
        table.append({"epoch": epoch, "train_loss": 0.5 * epoch})
    return table


def test_rows_become_columns_of_the_right_type() -> None:
    for table, rows in ((three_epochs(), [0, 1, 2]), (Table(EPOCHS), [])):
        assert len(table) == len(rows)
        assert table["epoch"].dtype == np.int64
        np.testing.assert_array_equal(table["epoch"], rows)
        np.testing.assert_array_equal(table["train_loss"], np.array(rows) / 2)


def test_columns_that_come_late_or_stay_away_are_filled_with_nan() -> None:
    table = three_epochs()
    table.append({"epoch": 3, "silent_neurons/hidden": 2.0})
    table.append({"epoch": 4, "train_loss": None})
    np.testing.assert_array_equal(table["silent_neurons/hidden"], [np.nan] * 3 + [2, np.nan])
    np.testing.assert_array_equal(table["train_loss"], [0, 0.5, 1, np.nan, np.nan])


def test_growing_keeps_every_row_and_does_not_change_arrays_given_out() -> None:
    table = Table(EPOCHS)
    for epoch in range(1_000):
        table.append({"epoch": epoch, "train_loss": 1 / (1 + epoch)})
        if epoch == 200:
            early = table.arrays()["train_loss"]
    np.testing.assert_array_equal(table["epoch"], np.arange(1_000))
    np.testing.assert_array_equal(early, 1 / np.arange(1.0, 202))


@pytest.mark.parametrize("row", [{"train_loss": 1.0}, {"epoch": None}, {"epoch": float("nan")}])
def test_integer_column_is_in_every_row(row: dict) -> None:
    table = three_epochs()
    with pytest.raises(ValueError, match="'epoch' holds integers"):
        table.append(row)
    assert len(table) == 3


def test_columns_of_a_block_have_equal_length() -> None:
    with pytest.raises(ValueError, match="'train_loss' has 1 entries, others have 2"):
        Table(EPOCHS).extend({"epoch": np.arange(2), "train_loss": np.zeros(1)})


def test_kept_rows_stay_as_they_were() -> None:
    table = three_epochs()
    table.append({"epoch": 3, "validation_loss": 2.0})
    table.keep(table["epoch"] < 3)
    assert sorted(table.arrays()) == ["epoch", "train_loss"]
    table.append({"epoch": 3, "train_loss": 7.0})
    np.testing.assert_array_equal(table["train_loss"], [0, 0.5, 1, 7])


def test_keeping_all_rows_keeps_columns_that_never_had_a_number() -> None:
    table = Table(EPOCHS)
    table.append({"epoch": 0, "validation_loss": None})
    table.keep(table["epoch"] < 1)
    assert np.isnan(table["validation_loss"]).all()


def test_written_table_reads_back_with_units_and_meaning(tmp_path) -> None:
    table = three_epochs()
    table.append({"epoch": 3, "silent_neurons/hidden": 2.0, "seconds": 1.5, "of_a_user": 1.0})
    with h5py.File(tmp_path / "t.h5", "w") as file:
        table.write(file.create_group("epochs"))
    again = Table(EPOCHS)
    with h5py.File(tmp_path / "t.h5") as file:
        again.fill(read_columns(file["epochs"]))
        assert file["epochs/seconds"].attrs["unit"] == "s"
        assert "without any spike" in file["epochs/silent_neurons/hidden"].attrs["meaning"]
        assert len(file["epochs/of_a_user"].attrs) == 0
    assert again.arrays().keys() == table.arrays().keys()
    for name, values in table.arrays().items():
        np.testing.assert_array_equal(again[name], values)
        assert again[name].dtype == values.dtype
    again.append({"epoch": 4})
    assert len(again) == 5
