"""The origin of a number in words."""

from archlab.reports.sources import describe, kinds, parse


def test_words_of_every_kind() -> None:
    assert parse("measured:ort@cpu").words == "measured with ort on cpu"
    assert parse("estimated:roofline@orin").words == "estimated by roofline for orin"
    assert parse("published:timm").words == "published in timm"
    assert parse(None).words == parse("").words == "from an unknown source"
    assert parse("measured:ort@user@board") == parse("measured:ort@user@board")
    assert parse("measured:ort@user@board").device == "board"


def test_kinds_and_axis_words() -> None:
    texts = ["measured:ort@cpu", "estimated:roofline@cpu", "measured:ort@cpu", None, ""]
    assert kinds(texts) == ("estimated", "measured")
    assert describe(texts) == "estimated by roofline or measured with ort"
    assert describe(["estimated:roofline@orin"]) == "estimated by roofline"
    assert describe([]) == "from an unknown source"
