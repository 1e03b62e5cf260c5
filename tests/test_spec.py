"""The spec language: strict, canonical, and never ending in anything but a SpecError."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archlab.errors import SpecError
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec


def tiny(**changes: object) -> ArchSpec:
    block = BlockSpec(kind="convnext", width=24, kernels=(3,), hidden=96, norm="ln", act="gelu")
    entry = BlockSpec(kind="patchify", width=24, stride=4, kernels=(4,), norm="ln")
    down = BlockSpec(kind="norm_patch", width=48, stride=2, kernels=(2,), norm="ln")
    stages = (StageSpec(entry=entry, blocks=(block, block)), StageSpec(entry=down))
    spec = ArchSpec(resolution=64, stages=stages, classes=10, head=HeadSpec(kind="pool", norm="ln"))
    return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]


def test_properties() -> None:
    spec = tiny()
    assert (spec.widths, spec.depths, spec.strides) == ((24, 48), (2, 0), (4, 8))
    assert [path for path, _ in spec.layers()] == [
        "stages.0.entry",
        "stages.0.blocks.0",
        "stages.0.blocks.1",
        "stages.1.entry",
    ]


def test_round_trip_and_neutral_fields() -> None:
    spec = tiny()
    document = json.loads(spec.to_json())
    assert ArchSpec.from_dict(document) == spec
    assert "stride" not in document["stages"][0]["blocks"][0]
    assert "splits" not in spec.to_json()
    assert "classes" not in tiny(classes=1000).to_dict()


def test_digest_is_the_networks_alone() -> None:
    assert tiny().digest == tiny().digest
    assert len({tiny().digest, tiny(classes=11).digest, tiny(resolution=96).digest}) == 3
    assert tiny().digest == "9f8024e774cf"
    assert hash(tiny()) == hash(tiny())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resolution": "64"}, "resolution is wrong; given: '64'; allowed: Input should be a valid integer"),
        ({"resolutoin": 64}, "did you mean 'resolution'"),
        ({"resolution": 7}, "resolution is out of range; given: 7; allowed: 8 to 4096"),
        ({"stages": []}, "a network needs a stage"),
        ({"classes": 1.5}, "classes is wrong; given: 1.5"),
        ({"head": {"kind": "pool"}}, "head.norm is wrong; given: nothing"),
    ],
)
def test_messages(change: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        ArchSpec.from_dict({**tiny().to_dict(), **change}, where="net.yaml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def broken(draw: st.DrawFn) -> object:
    """A valid document with one value somewhere replaced, removed or added."""
    document: dict[str, object] = json.loads(tiny().to_json())
    place: object = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))  # type: ignore[arg-type]
        if not keys:
            return document
        key = draw(st.sampled_from(keys))
        inner = place[key]  # type: ignore[index]
        if isinstance(inner, dict | list) and draw(st.booleans()):
            place = inner
            continue
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            place[key] = draw(JSONISH)  # type: ignore[index]
        elif action == "remove":
            del place[key]  # type: ignore[attr-defined]
        elif isinstance(place, dict):
            place[draw(st.text(max_size=6))] = draw(JSONISH)
        return document


@settings(max_examples=1000, deadline=None)
@given(broken() | JSONISH)
def test_malformed_documents_end_in_a_spec_error(document: object) -> None:
    try:
        spec = ArchSpec.from_dict(document)
    except SpecError as error:
        assert str(error).count("; ") >= 3
    else:
        assert ArchSpec.from_dict(spec.to_dict()) == spec
