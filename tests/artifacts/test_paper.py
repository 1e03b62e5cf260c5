"""What is carried of the papers: nothing that is only remembered, every value with its source."""

import csv
from pathlib import Path

import pytest

from archlab.artifacts import paper
from archlab.artifacts.paper import CARRIED, all_values, beside, values
from archlab.artifacts.rows import NEEDS_MEANS, Lack

DATA = Path(paper.__file__).parent / "data"


def test_every_value_is_confirmed_and_has_a_source() -> None:
    assert len(all_values()) > 800
    for value in all_values():
        assert value.status.startswith(CARRIED), value
        assert value.source
        assert "recalled" not in value.source
    assert all("recalled" not in word for word in CARRIED)


@pytest.mark.parametrize("item", ["Table 7", "Table 8", "Table 9", "Table 10"])
def test_of_edgenexts_ablations_only_the_text_is_carried(item: str) -> None:
    carried = [value for value in all_values() if value.paper == "EdgeNeXt" and value.item.startswith(item)]
    assert carried
    assert all(value.source.startswith("paper's text") for value in carried)
    numbers = {value.value for value in carried if not isinstance(value.value, str)}
    assert numbers == ({-1.1, -0.4} if item == "Table 7" else set())


def test_the_tables_have_one_shape() -> None:
    for path in DATA.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            header = next(csv.reader(file))
        assert ",".join(header) == "paper,item,order,setting,metric,value,unit,source,status,notes", path.name


@pytest.mark.parametrize(
    ("paper_name", "item", "setting", "metric", "value", "rounding"),
    [
        ("EdgeNeXt", "networks", "EdgeNeXt-XXS", "macs", 0.261, 0.0005),
        ("EdgeNeXt", "networks", "MobileViT-S", "params", 5.6, 0.05),
        ("EfficientViT-MIT", "networks", "EfficientViT-L2 r288", "macs", 11.0, 0.5),
        ("EfficientViT-MSRA", "Table 1 architecture", "EfficientViT-M5", "depth L1,L2,L3", "1/3/4", 0.0),
    ],
)
def test_values_and_their_last_digit(
    paper_name: str, item: str, setting: str, metric: str, value: object, rounding: float
) -> None:
    (found,) = (v for v in values(paper_name, item, metric) if v.setting == setting)
    assert found.value == value
    assert found.rounding == pytest.approx(rounding)


def test_beside_puts_ours_next_to_the_papers() -> None:
    row = beside("EdgeNeXt", "networks", "EdgeNeXt-S", "params", ours=5.587, ours_source="counted")
    assert (row.paper, row.ours, row.unit, row.paper_status) == (5.59, 5.587, "M", "verified-source")
    bare = beside("EdgeNeXt", "networks", "no such", "params", lack=Lack(verdict=NEEDS_MEANS, what="it"))
    assert (bare.paper, bare.paper_status) == (None, "")
    assert bare.to_dict()["lack"] == "needs data or a device we do not have: it"
